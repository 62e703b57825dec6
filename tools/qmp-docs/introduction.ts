/** What docs/qmp.md says before it lists commands and events. */

export const INTRODUCTION = `# The monitor: commands and events

Written by \`npm run qmp-docs\` from the schemas by which the daemon checks commands; the examples are taken from
transcripts that the tests play to it (\`test/scenarios/transcripts\`).

## Speaking with it

A daemon has a monitor for each \`--chardev socket,id=ID,path=PATH,server=on,wait=off --monitor ID\`. It speaks QMP, the
protocol of QEMU's monitor, as qemu-storage-daemon 7.2 does, so that programs made for that one can be used. Each socket
takes up to 64 clients at a time (QEMU: one), and clients do not wait for each other.

\`\`\`
<- {"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":0},"package":"colobus 0.1.0"},"capabilities":["oob"]}}
-> {"execute":"qmp_capabilities"}
<- {"return":{}}
-> {"execute":"query-block-exports","id":1}
<- {"return":[],"id":1}
-> {"execute":"block-export-del","arguments":{"id":"none"},"id":2}
<- {"id":2,"error":{"class":"GenericError","desc":"Export 'none' is not found"}}
\`\`\`

- A message is a JSON object. What is sent needs no newline; what comes ends with CR LF and is ASCII.
- \`id\`, any JSON value, comes back with the answer. The commands of one client are answered in their order.
- A command that cannot be carried out is answered with \`error\`, and has changed nothing unless its description says
  so. \`class\` is \`GenericError\`, \`CommandNotFound\`, \`DeviceNotFound\` or \`DeviceNotActive\`; \`desc\` is for people: QEMU's
  text where QEMU has one, often with a remedy behind it.
- Arguments that a command does not know are refused: \`Parameter 'NAME' is unexpected\`.
- An event comes at any time after \`qmp_capabilities\`, to every client:
  \`{"timestamp":{"seconds":N,"microseconds":N},"event":NAME,"data":{…}}\`.
- With \`{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\` a command marked *out of band* may be sent as
  \`{"exec-oob":NAME,…}\`: it is carried out at once, before those that wait.
- No command waits for ever: each has a deadline, and those called \`query-…\` answer at once, whatever disks and peers do.

What a client may do: a value of at most 4 MiB, 65,536 tokens and a depth of 1,024; beyond that its line is skipped with
one error. A client that does not read its answers gets no further command carried out; one that lets 4 MiB pile up is
disconnected. What is no JSON is answered with an error, and reading goes on behind it: a newline ends a string that was
left open, and a byte 255 ends everything that was begun.

A type in the tables below is one of JSON; *integer* is a number without a fraction, *node* a node-name or the
definition of a node, which is an object with its \`driver\` and options. An argument with \`–\` as its default
may be left out; one that is *required* may not.
`;
