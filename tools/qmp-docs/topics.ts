/** The topics of docs/qmp.md, in their order. A command belongs to the first whose pattern it meets. */

export type Topic = { readonly title: string; readonly intro: string; readonly pattern: RegExp };

export const TOPICS: readonly Topic[] = [
  {
    title: 'Replication',
    intro:
      'The order of these commands on the two hosts, what each promises, and what to do when something fails are in ' +
      '[replication.md](replication.md).',
    pattern: /^(replication-|query-replication$|xen-|query-xen-)/,
  },
  {
    title: 'Exports',
    intro:
      'A daemon has one NBD server, on which any number of nodes are exported. What clients find there is in ' +
      '[nbd.md](nbd.md).',
    pattern: /^(nbd-server-|block-export-|query-block-exports$)/,
  },
  {
    title: 'Jobs',
    intro:
      'Long work goes on in the background as a job. Its status is followed with the events JOB_STATUS_CHANGE and ' +
      'BLOCK_JOB_*. It goes when it has concluded, unless auto-dismiss is off; the commit of a failover that failed stays ' +
      "until it is dismissed. The `block-job-` commands are QEMU's older names, and refuse an unknown job with the class " +
      'DeviceNotActive. What jobs promise is in [jobs.md](jobs.md).',
    pattern: /^(job-|block-job-|query-jobs$|query-block-jobs$|block-commit$|blockdev-(mirror|backup)$|drive-)/,
  },
  {
    title: 'Dirty bitmaps',
    intro: 'A bitmap records which parts of a node were written, in memory, until the daemon ends.',
    pattern: /^block-dirty-bitmap-/,
  },
  {
    title: 'Nodes',
    intro:
      'Nodes are what images are made of: each has a driver, options, and children it passes requests to. A child is ' +
      'named, or defined in place; one that is defined in place goes with its parent.',
    pattern: /^(blockdev-|x-blockdev-|block_resize$|block-|query-named-block-nodes$|query-block|x-debug-)/,
  },
  {
    title: 'Objects',
    intro: 'What nodes, servers and exports refer to by an id.',
    pattern: /^(object-|qom-)/,
  },
  {
    title: 'Monitor and daemon',
    intro: 'The conversation itself, and the process.',
    pattern: /./,
  },
];

/** The index in TOPICS of the topic of a command. */
export function topicOf(name: string): number {
  return TOPICS.findIndex(({ pattern }) => pattern.test(name));
}
