/** The votes of a quorum: which errno, and which of several versions of the data, counts. */

/**
 * The errno that most of `errnos` have, the successes (0) left out; of those that are equally frequent the one that
 * appears last, as with QEMU. 0 where all are successes.
 */
export function mostFrequentErrno(errnos: readonly number[]): number {
  let winner = 0;
  let most = 0;
  for (let i = 0; i < errnos.length; i++) {
    const errno = errnos[i] as number;
    if (errno === 0 || errnos.indexOf(errno) < i) continue;
    const votes = errnos.filter(other => other === errno).length;
    if (votes >= most) {
      winner = errno;
      most = votes;
    }
  }
  return winner;
}

export type VoteResult = {
  /** Index of the first copy that has the version most of them have; of equally frequent ones the last to appear. */
  readonly winner: number;
  /** How many copies have that version. */
  readonly votes: number;
  /** Indices of the copies with another version, in the order in which QEMU reports them. */
  readonly losers: readonly number[];
};

/** Votes on the copies of the data; null stands for one that could not be read. At least one was. */
export function voteOnVersions(copies: readonly (Buffer | null)[]): VoteResult {
  const versions = copies.map((copy, i) => {
    if (copy === null) return -1;
    const first = copies.findIndex(other => other?.equals(copy) ?? false);
    return first < 0 ? i : first;
  });
  let winner = -1;
  let votes = 0;
  versions.forEach((version, i) => {
    if (version !== i) return;
    const count = versions.filter(other => other === version).length;
    if (count >= votes) {
      winner = version;
      votes = count;
    }
  });
  const losers = versions.map((_version, i) => i).filter(i => versions[i] !== -1 && versions[i] !== winner);
  losers.sort((a, b) => (versions[b] as number) - (versions[a] as number) || b - a);
  return { winner, votes, losers };
}
