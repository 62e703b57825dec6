import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MonitorSubject } from '../support/monitor-subject.ts';
import { OddArguments } from '../support/odd-arguments.ts';
import { OddInput } from '../support/odd-input.ts';
import type { Message, RawMonitor } from '../support/raw-monitor.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { parseTranscript } from '../support/transcript.ts';

const INPUTS = 1500;
/** Commands with odd arguments. */
const COMMANDS = 600;
/** Inputs that are under way at once. */
const BATCH = 50;
/** Fits nowhere, so that what comes behind it is read from its start. */
const RESET = '\xff';

describe('odd input', () => {
  const subjects: MonitorSubject[] = [];
  let folder: TemporaryFolder;
  before(async () => {
    folder = await TemporaryFolder.create('memory');
    for (const name of ['colobus', 'qemu-storage-daemon'] as const) {
      subjects.push(await MonitorSubject.start(name, [parseTranscript('none.qmp', '')], folder.file(name)));
    }
  });
  after(async () => {
    for (const subject of subjects) await subject[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('brings the answers that qemu-storage-daemon gives', async t => {
    const seed = Date.now() % 2 ** 32;
    t.diagnostic(`seed ${seed}`);
    const odd = new OddInput(seed);
    const inputs = Array.from({ length: INPUTS }, () => odd.next());
    const answers = await Promise.all(subjects.map(subject => answersTo(subject, inputs)));
    assertSame(answers, inputs, seed);
  });

  it('that looks like something else in JavaScript is told from that as qemu-storage-daemon does', async () => {
    const inputs = DISGUISED.map(text => Buffer.from(text));
    assertSame(await Promise.all(subjects.map(subject => answersTo(subject, inputs))), inputs, 0);
  });

  it('in the arguments of commands is explained in the words of qemu-storage-daemon', async t => {
    const seed = Date.now() % 2 ** 32;
    t.diagnostic(`seed ${seed}`);
    const odd = new OddArguments(seed);
    const monitors = await Promise.all(subjects.map(subject => subject.connect('a')));
    try {
      for (const monitor of monitors) await monitor.answers('{"execute":"qmp_capabilities"}');
      for (let index = 0; index < COMMANDS; index += 1) {
        const command = JSON.stringify(odd.next());
        const [own, theirs] = await Promise.all(monitors.map(monitor => monitor.answers(command)));
        assertSameRefusal(own?.[0], theirs?.[0], `seed ${seed}, command ${index}: ${command}`);
      }
    } finally {
      for (const monitor of monitors) await monitor[Symbol.asyncDispose]();
    }
  });
});

/** Arguments that a program in JavaScript easily takes for others. */
const DISGUISED = [
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"x","size":1e6}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"x","size":2147483648.0}}',
  '{"execute":"block_resize","arguments":{"node-name":"x","size":1048576.0}}',
  '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"x"}},"max-connections":1e2}}',
  '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":1.0}}}',
  '{"execute":"query-jobs","arguments":1.0}',
  '{"execute":"query-jobs","id":[1e2,2.0,{"__proto__":5}]}',
  '{"execute":"query-jobs","arguments":{"__proto__":{}}}',
  '{"execute":"query-jobs","__proto__":{}}',
] as const;

/** Where the two may refuse in other words, and why. */
const OTHER_WORDS: readonly { readonly own: RegExp; readonly theirs: RegExp; readonly reason: string }[] = [
  {
    own: /^(Invalid node-name|Duplicate nodes)/,
    theirs: /^(Cannot find device|Could not open)/,
    reason: 'of two mistakes each names one',
  },
  { own: /'addr\.(path|host)' is missing/, theirs: /'addr\.data' is missing/, reason: 'the flat form is taken too' },
  {
    own: /^threshold may not exceed children count/,
    theirs: /^Parameter 'vote-threshold' expects a value >= 1/,
    reason: 'QEMU keeps 32 bits of a threshold',
  },
  {
    own: /is not a port from 0 to 65535/,
    theirs: /^(NBD server already running|address resolution failed)/,
    reason: 'a port is checked with the other arguments',
  },
  {
    own: /^(The size '.*' is not a size|Invalid node-name)/,
    theirs: /^Invalid parameter type for 'size'/,
    reason: 'a size may be text such as 64M',
  },
  {
    own: /^Parameter 'size' expects a non-negative number/,
    theirs: /^Invalid node-name/,
    reason: 'QEMU finds a negative size later, and ends by an assertion where the name is right',
  },
];

function assertSameRefusal(own: Message | undefined, theirs: Message | undefined, where: string): void {
  const [ownError, theirError] = [own?.error, theirs?.error] as readonly (QmpRefusal | undefined)[];
  if (ownError === undefined || theirError === undefined) {
    assert.deepEqual([ownError, theirError], [undefined, undefined], where);
    return;
  }
  assert.equal(ownError.class, theirError.class, where);
  if (ownError.desc.startsWith(theirError.desc)) return;
  const known = OTHER_WORDS.some(other => other.own.test(ownError.desc) && other.theirs.test(theirError.desc));
  if (!known) assert.equal(ownError.desc, theirError.desc, where);
}

type QmpRefusal = { readonly class: string; readonly desc: string };

type Answers = readonly (readonly Message[])[];

function assertSame(answers: readonly Answers[], inputs: readonly Buffer[], seed: number): void {
  const [own, theirs] = answers;
  for (const [index, input] of inputs.entries()) {
    const where = `seed ${seed}, input ${index}: ${JSON.stringify(input.toString('latin1'))}`;
    assert.ok((own?.[index] ?? []).length > 0 || input.every(byte => byte <= 0x20), `${where} brought no answer`);
    assert.deepEqual(own?.[index], theirs?.[index], where);
  }
}

async function answersTo(subject: MonitorSubject, inputs: readonly Buffer[]): Promise<Answers> {
  const monitor = await subject.connect('a');
  try {
    await monitor.answers('{"execute":"qmp_capabilities"}');
    return await batched(monitor, inputs);
  } finally {
    await monitor[Symbol.asyncDispose]();
  }
}

/** What each input brings, found by a command sent after it. */
async function batched(monitor: RawMonitor, inputs: readonly Buffer[]): Promise<Answers> {
  const start = monitor.messages.length;
  for (let at = 0; at < inputs.length; at += BATCH) {
    const batch = inputs.slice(at, at + BATCH);
    for (const [index, input] of batch.entries()) {
      const mark = `${RESET}{"execute":"query-jobs","id":"mark-${at + index}"}`;
      monitor.send(Buffer.concat([input, Buffer.from(mark, 'latin1')]));
    }
    const last = `mark-${at + batch.length - 1}`;
    await monitor.until(() => monitor.messages.at(-1)?.id === last);
  }
  const answers: Message[][] = [[]];
  for (const message of monitor.messages.slice(start)) {
    if (String(message.id).startsWith('mark-')) answers.push([]);
    else answers.at(-1)?.push(message);
  }
  return answers;
}
