/** object-add: keeps TLS credentials, a secret or a throttle group under a name. */

import { type Command, defineCommand } from '../command.ts';
import { OBJECT_DEFINITION } from '../user-objects.ts';

export const objectAdd: Command = defineCommand({
  name: 'object-add',
  summary:
    'Keeps TLS credentials (tls-creds-x509, tls-creds-psk), a secret or a throttle-group under an id, for servers and nodes to use',
  arguments: OBJECT_DEFINITION,
  run: (definition, daemon) => daemon.objects.add(definition),
});
