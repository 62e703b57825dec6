#!/usr/bin/env python3
# Part of Colobus, Apache-2.0: the peer that the differential test and the replication benchmark compare with.
"""QEMU's own COLO block replication as a peer: two `qemu-system-x86_64 -machine none`, no guest.

usage: qemu-colo-pair.py DIR SIZE [unix|tcp [DISKS]]        (needs qemu-system-x86, qemu-utils)

The primary exports its quorum node (local raw + replication/primary over NBD) and the secondary runs
replication/secondary over active and hidden qcow2 images on a raw disk. The images lie in a folder of their own
below DISKS (/dev/shm unless given). Prints one JSON line with the NBD URIs, the pids, the images and the monitors,
then obeys lines on stdin, one JSON line of answer each:
  checkpoint   checkpoint on the primary, then on the secondary: milliseconds of each
  status       query-xen-replication-status of both
  failover     the secondary takes over (live commit of its overlays); answers when the commit is done
  stop         quit both, remove the images (end of input does the same)
A node that has failed over cannot be used again: start a new pair (about 0.3 s). Both monitors are held by this program.
A checkpoint while writes are in flight may make this QEMU (7.2) abort: 'First cluster in emptied image is in use'.
"""
import json, os, shutil, socket, subprocess, sys, time


class Qmp:
    def __init__(self, path, timeout_s=10):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.file = self.sock.makefile('rw')
        self.file.readline()
        self.call('qmp_capabilities')

    def ask(self, command, **arguments):
        self.file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if 'event' not in answer:
                return answer

    def call(self, command, **arguments):
        answer = self.ask(command, **arguments)
        if 'error' in answer:
            raise RuntimeError(f"{command}: {answer['error']['desc']}")
        return answer['return']


def main():
    folder, size = sys.argv[1], sys.argv[2]
    link = sys.argv[3] if len(sys.argv) > 3 else 'unix'
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    disks = sys.argv[4] if len(sys.argv) > 4 else '/dev/shm'
    ram = f'{disks}/qemu-colo-{os.getpid()}'
    os.makedirs(ram)
    image = {n: f'{ram}/{n}' for n in ('primary.raw', 'secondary.raw', 'hidden.qcow2', 'active.qcow2')}
    for name, path in image.items():
        raw = name.endswith('.raw')
        subprocess.check_call(['qemu-img', 'create', '-q', '-f', 'raw' if raw else 'qcow2',
                               *(['-o', 'preallocation=full'] if raw else []), path, size])

    def qemu(name):
        process = subprocess.Popen(['qemu-system-x86_64', '-machine', 'none', '-nodefaults', '-display', 'none',
                                    '-qmp', f'unix:{folder}/{name}.qmp,server=on,wait=off'])
        return process, Qmp(f'{folder}/{name}.qmp')

    (sp, secondary), (pp, primary) = qemu('secondary'), qemu('primary')
    if link == 'unix':
        listen = {'type': 'unix', 'data': {'path': f'{folder}/replica.sock'}}
        server = {'type': 'unix', 'path': f'{folder}/replica.sock'}
    else:
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = str(s.getsockname()[1])
        listen = {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': port}}
        server = {'type': 'inet', 'host': '127.0.0.1', 'port': port}
    file = lambda path: {'driver': 'file', 'filename': path}
    secondary.call('blockdev-add', driver='raw', **{'node-name': 'disk'}, file=file(image['secondary.raw']))
    secondary.call('nbd-server-start', addr=listen)
    secondary.call('block-export-add', id='replica', type='nbd', writable=True, name='replica', **{'node-name': 'disk'})
    secondary.call('blockdev-add', driver='replication', mode='secondary', **{'node-name': 'repl', 'top-id': 'top'},
                   file={'driver': 'qcow2', 'node-name': 'active', 'file': file(image['active.qcow2']),
                         'backing': {'driver': 'qcow2', 'node-name': 'hidden', 'file': file(image['hidden.qcow2']),
                                     'backing': 'disk'}})
    secondary.call('blockdev-add', driver='quorum', children=['repl'],
                   **{'node-name': 'top', 'read-pattern': 'fifo', 'vote-threshold': 1})
    secondary.call('block-export-add', id='view', type='nbd', writable=True, name='view', **{'node-name': 'top'})
    primary.call('blockdev-add', driver='raw', **{'node-name': 'local'}, file=file(image['primary.raw']))
    primary.call('blockdev-add', driver='replication', mode='primary', **{'node-name': 'remote'},
                 file={'driver': 'nbd', 'server': server, 'export': 'replica'})
    primary.call('blockdev-add', driver='quorum', children=['local', 'remote'],
                 **{'node-name': 'top', 'read-pattern': 'fifo', 'vote-threshold': 1})
    primary.call('nbd-server-start', addr={'type': 'unix', 'data': {'path': f'{folder}/primary.sock'}})
    primary.call('block-export-add', id='disk', type='nbd', writable=True, name='disk', **{'node-name': 'top'})
    secondary.call('xen-set-replication', enable=True, primary=False)
    primary.call('xen-set-replication', enable=True, primary=True)
    say = lambda x: print(json.dumps(x), flush=True)
    say({'primary': f'nbd+unix:///disk?socket={folder}/primary.sock', 'link': link,
         'view': f'nbd+unix:///view?socket={folder}/replica.sock' if link == 'unix' else f'nbd://127.0.0.1:{port}/view',
         'pids': {'primary': pp.pid, 'secondary': sp.pid},
         'images': {'primary': image['primary.raw'], 'secondary': image['secondary.raw']},
         'monitors': {'primary': f'{folder}/primary.qmp', 'secondary': f'{folder}/secondary.qmp'}})
    try:
        for line in sys.stdin:
            word = line.strip()
            if word == 'checkpoint':
                t0 = time.perf_counter()
                a = primary.ask('xen-colo-do-checkpoint')
                t1 = time.perf_counter()
                b = secondary.ask('xen-colo-do-checkpoint')
                t2 = time.perf_counter()
                say({'primary_ms': round((t1 - t0) * 1e3, 3), 'secondary_ms': round((t2 - t1) * 1e3, 3),
                     'errors': [x['error']['desc'] for x in (a, b) if 'error' in x]})
            elif word == 'failover':
                t0 = time.perf_counter()
                a = secondary.ask('xen-set-replication', enable=False, primary=False, failover=True)
                while secondary.call('query-block-jobs'):
                    time.sleep(0.01)
                while secondary.call('query-jobs'):
                    time.sleep(0.01)
                say({'commit_ms': round((time.perf_counter() - t0) * 1e3, 3), 'errors': [a['error']['desc']] if 'error' in a else []})
            elif word == 'status':
                say({n: q.ask('query-xen-replication-status') for n, q in (('primary', primary), ('secondary', secondary))})
            elif word == 'stop':
                break
    finally:
        for q, p in ((primary, pp), (secondary, sp)):
            try:
                q.ask('quit')
            except (OSError, ValueError):
                pass
            p.wait(10)
        shutil.rmtree(ram, ignore_errors=True)


if __name__ == '__main__':
    main()
