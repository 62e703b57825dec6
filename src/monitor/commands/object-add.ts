/** object-add: keeps TLS credentials or a secret under a name. */

import { type Command, defineCommand } from '../command.ts';
import { OBJECT_DEFINITION } from '../user-objects.ts';

export const objectAdd: Command = defineCommand({
  name: 'object-add',
  summary:
    'Keeps TLS credentials (tls-creds-x509, tls-creds-psk) or a secret under an id, for servers and nodes to use',
  arguments: OBJECT_DEFINITION,
  run: (definition, daemon) => daemon.objects.add(definition),
});
