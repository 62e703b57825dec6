import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MonitorSubject } from '../support/monitor-subject.ts';
import { projectRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { parseTranscript, SUBJECTS, type SubjectName, type Transcript } from '../support/transcript.ts';
import { playTranscript } from '../support/transcript-player.ts';

const folder = join(projectRoot, 'test/scenarios/transcripts');

const transcripts: readonly Transcript[] = readdirSync(folder)
  .filter(name => name.endsWith('.qmp'))
  .sort()
  .map(name => parseTranscript(name, readFileSync(join(folder, name), 'utf8')));

describe('transcripts', { concurrency: SUBJECTS.length }, () => {
  for (const subject of SUBJECTS) {
    // What shares a daemon comes one after the other.
    describe(`that ${subject} answers`, { concurrency: 1 }, () => {
      for (const shared of daemonsOf(subject)) playAll(subject, shared);
    });
  }
});

/** Transcripts that one process serves, process by process. */
function daemonsOf(subject: SubjectName): readonly (readonly [Transcript, ...Transcript[]])[] {
  const daemons = new Map<string, [Transcript, ...Transcript[]]>();
  for (const transcript of transcripts.filter(({ subjects }) => subjects.includes(subject))) {
    const key = transcript.alone ? transcript.name : transcript.options.join(' ');
    const others = daemons.get(key);
    if (others === undefined) daemons.set(key, [transcript]);
    else others.push(transcript);
  }
  return [...daemons.values()];
}

function playAll(name: SubjectName, shared: readonly [Transcript, ...Transcript[]]): void {
  describe(shared.map(transcript => transcript.name).join(', '), { concurrency: 1 }, () => {
    let folder: TemporaryFolder;
    let subject: MonitorSubject | null = null;
    before(async () => {
      folder = await TemporaryFolder.create('memory');
    });
    after(async () => {
      await subject?.[Symbol.asyncDispose]();
      await folder?.[Symbol.asyncDispose]();
    });
    for (const transcript of shared) {
      it(transcript.name, async () => {
        subject ??= await MonitorSubject.start(name, shared, folder.file(transcript.name));
        try {
          await playTranscript(transcript, subject);
        } catch (error) {
          // What it left behind is not for the next ones.
          await subject[Symbol.asyncDispose]();
          subject = null;
          throw error;
        }
      });
    }
  });
}
