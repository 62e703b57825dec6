/** QEMU's types of the jobs there are. */
export const JOB_TYPES = ['commit', 'mirror', 'backup'] as const;
