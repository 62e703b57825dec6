/**
 * Plays a transcript to a program and fails at the first line that is not as it says.
 *
 * Answers are compared in their order and events in theirs; how the two interleave is free. What is left over at the
 * end fails too, and so does a daemon that is not left as it was found. What Colobus returns must be what it declares.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { assertDeclaredAnswer, assertDeclaredEvent } from './declared-messages.ts';
import { mismatch } from './match-pattern.ts';
import type { MonitorSubject } from './monitor-subject.ts';
import type { Message, RawMonitor } from './raw-monitor.ts';
import type { ClientName, Transcript, TranscriptStep } from './transcript.ts';

const COMMAND_MS = 20_000;
/** What shows, by its answer, that nothing more is to come. */
const LAST = 'the-last-answer';
/** Commands whose answers a transcript leaves as it found them. */
const LEFT_AS_FOUND = ['query-named-block-nodes', 'query-block-exports', 'query-jobs'] as const;

/** Plays `transcript` to `subject`; throws an error that names the line. */
export async function playTranscript(transcript: Transcript, subject: MonitorSubject): Promise<void> {
  const clients = new Map<ClientName, Client>();
  try {
    const before = transcript.alone ? '' : await inventory(subject, transcript);
    for (const step of transcript.steps) {
      try {
        await play(step, transcript, subject, clients);
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${transcript.name}.qmp:${step.line}: ${text}`, { cause });
      }
    }
    for (const client of clients.values()) await client.assertNothingLeft();
    await closeAll(clients);
    if (!transcript.alone) assert.equal(await inventory(subject, transcript), before, 'the daemon is left as it was');
  } finally {
    await closeAll(clients);
  }
}

async function play(
  step: TranscriptStep,
  transcript: Transcript,
  subject: MonitorSubject,
  clients: Map<ClientName, Client>,
): Promise<void> {
  if (step.kind === 'run') {
    await runCommand(step.command, step.output, subject.directory);
    return;
  }
  let client = clients.get(step.client);
  if (client === undefined) {
    client = await Client.connect(subject, step.client, transcript);
    clients.set(step.client, client);
  }
  if (step.kind === 'send') client.send(step.bytes);
  else if (step.kind === 'expect') await client.expect(JSON.parse(inDirectory(JSON.stringify(step.pattern), subject)));
  else await client.expectEnd();
}

class Client {
  readonly #monitor: RawMonitor;
  readonly #subject: MonitorSubject;
  readonly #ignoredEvents: readonly string[];
  /** Only the first client's events must all be listed. */
  readonly #skipsEvents: boolean;
  #answers = 0;
  #events = 0;
  #ended = false;
  #lastSent = '';

  private constructor(
    monitor: RawMonitor,
    subject: MonitorSubject,
    skipsEvents: boolean,
    ignoredEvents: readonly string[],
  ) {
    this.#monitor = monitor;
    this.#subject = subject;
    this.#skipsEvents = skipsEvents;
    this.#ignoredEvents = ignoredEvents;
  }

  static async connect(
    subject: MonitorSubject,
    name: ClientName,
    { negotiate, ignoredEvents }: Transcript,
  ): Promise<Client> {
    const monitor = await subject.connect(name);
    const client = new Client(monitor, subject, name !== 'a', ignoredEvents);
    if (!negotiate) return client;
    client.send(Buffer.from('{"execute":"qmp_capabilities"}\n'));
    await client.expect({ QMP: '...' });
    await client.expect({ return: {} });
    return client;
  }

  send(bytes: Buffer): void {
    const text = inDirectory(bytes.toString('latin1'), this.#subject);
    this.#lastSent = text;
    this.#monitor.send(Buffer.from(text, 'latin1'));
  }

  /** Waits for the next event, if `pattern` is one, or the next answer, which must match. */
  async expect(pattern: unknown): Promise<void> {
    if (typeof pattern === 'object' && pattern !== null && 'event' in pattern) {
      await this.#expectEvent({ timestamp: { seconds: '...', microseconds: '...' }, ...pattern });
      return;
    }
    const index = this.#answers;
    await this.#until(() => this.#received('answer').length > index);
    const answer = this.#received('answer')[index] as Message;
    assertMatch(pattern, answer);
    this.#answers += 1;
    if (this.#subject.name === 'colobus') assertDeclaredAnswer(this.#lastSent, answer);
    this.#lastSent = '';
  }

  /** Waits until the program has closed the connection. */
  async expectEnd(): Promise<void> {
    await this.#monitor.closed();
    this.#ended = true;
  }

  async assertNothingLeft(): Promise<void> {
    if (!this.#ended) {
      this.#monitor.send(`\n{"execute":"query-version","id":"${LAST}"}\n`);
      await this.#until(() => this.#received('answer').at(-1)?.id === LAST);
    }
    const answers = this.#received('answer').slice(this.#answers, this.#ended ? undefined : -1);
    if (this.#subject.name === 'colobus') {
      for (const event of this.#monitor.messages.filter(message => 'event' in message)) assertDeclaredEvent(event);
    }
    const events = this.#skipsEvents ? [] : this.#received('event').slice(this.#events);
    assert.deepEqual([...answers, ...events], [], 'nothing comes that the transcript does not list');
  }

  async close(): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]();
  }

  async #expectEvent(pattern: object): Promise<void> {
    for (;;) {
      const index = this.#events;
      await this.#until(() => this.#received('event').length > index);
      this.#events += 1;
      const event = this.#received('event')[index];
      if (this.#skipsEvents && mismatch(pattern, event) !== null) continue;
      assertMatch(pattern, event);
      return;
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    try {
      await this.#monitor.until(condition);
    } catch (cause) {
      const rest = [...this.#received('answer').slice(this.#answers), ...this.#received('event').slice(this.#events)];
      throw new Error(`${cause instanceof Error ? cause.message : cause}; it sent ${JSON.stringify(rest)}`, { cause });
    }
  }

  #received(kind: 'answer' | 'event'): readonly Message[] {
    return this.#monitor.messages.filter(({ event }) =>
      event === undefined ? kind === 'answer' : kind === 'event' && !this.#ignoredEvents.includes(String(event)),
    );
  }
}

function assertMatch(pattern: unknown, message: unknown): void {
  const problem = mismatch(pattern, message);
  if (problem !== null) throw new Error(`${problem}; the whole message: ${JSON.stringify(message)}`);
}

/** What is in the daemon, and whether its NBD server runs, as text that can be compared. */
async function inventory(subject: MonitorSubject, { options }: Transcript): Promise<string> {
  const monitor = await subject.connect('a');
  try {
    await monitor.answers('{"execute":"qmp_capabilities"}');
    const answers = [];
    for (const name of LEFT_AS_FOUND) answers.push(...(await monitor.answers(`{"execute":"${name}"}`)));
    if (!options.includes('--nbd-server')) answers.push(...(await monitor.answers('{"execute":"nbd-server-stop"}')));
    return answers
      .filter(({ event }) => event === undefined)
      .map(answer => JSON.stringify(answer))
      .join('\n');
  } finally {
    await monitor[Symbol.asyncDispose]();
  }
}

async function runCommand(command: string, output: readonly string[] | null, directory: string): Promise<void> {
  const env = { ...process.env, DIR: directory };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], {
    cwd: directory,
    env,
    timeout: COMMAND_MS,
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`, { cause: error });
  });
  if (output !== null) assert.deepEqual(stdout.trimEnd().split('\n'), output);
}

async function closeAll(clients: Map<ClientName, Client>): Promise<void> {
  await Promise.all([...clients.values()].map(client => client.close()));
  clients.clear();
}

function inDirectory(text: string, { directory }: MonitorSubject): string {
  return text.replaceAll('$DIR', directory);
}
