# A script as users of qemu-storage-daemon have it, in an empty folder. $DAEMON is the program; $QMP says its arguments to
# a monitor and prints the answers. What it prints is what its user sees.
set -eu

truncate -s 16M disk.img backup.img
mkdir tls
echo "colobus:$(printf '5a%.0s' $(seq 32))" > tls/keys.psk
chmod 600 tls/keys.psk

$DAEMON \
  --object secret,id=secret0,data=letmein \
  --object tls-creds-psk,id=tls0,dir="$PWD/tls",endpoint=server \
  --object iothread,id=io0,poll-max-ns=0 \
  --blockdev file,node-name=file0,filename=disk.img,aio=threads,cache.direct=off,cache.no-flush=off,discard=unmap,auto-read-only=on,locking=on \
  --blockdev raw,node-name=disk,file=file0,discard=unmap,detect-zeroes=unmap \
  --blockdev '{"driver":"raw","node-name":"part","offset":1048576,"size":2097152,"read-only":true,"file":{"driver":"file","filename":"backup.img","read-only":true,"force-share":true}}' \
  --blockdev driver=raw,node-name=nested,read-only=on,file.driver=raw,file.offset=512,file.file.driver=null-co,file.file.size=1048576,file.file.read-zeroes=on \
  --nbd-server addr.type=unix,addr.path=nbd.sock,max-connections=8 \
  --export nbd,id=export0,node-name=disk,name=disk,description="The guest's disk,, whole",writable=on,writethrough=on \
  --export type=nbd,id=export1,node-name=part \
  --chardev socket,id=qmp0,path=qmp.sock,server=on,wait=off \
  --chardev socket,id=qmp1,path=pretty.sock,server=on,wait=off \
  --chardev socket,id=spare,path=spare.sock,server=on,wait=off \
  --monitor chardev=qmp0 --monitor qmp1,mode=control,pretty=on \
  --pidf daemon.pid --daemonize
echo "started with $?"
pid=$(cat daemon.pid)
kill -0 "$pid" && echo "process $(wc -l < daemon.pid)"
ls *.sock

echo '# clients'
nbdinfo --list 'nbd+unix:///?socket=nbd.sock' | grep -E '^export=|description|export-size|is_read_only' | sort
disk='nbd+unix:///disk?socket=nbd.sock'
part='nbd+unix:///part?socket=nbd.sock'
io() { qemu-io -f raw "$@" 2>&1 | grep -v ' ops; '; }
io "$disk" -c 'write -P 0x5a 1M 64k' -c 'write -P 0 8M 64k' -c 'write -z 2M 64k' -c 'discard 3M 1M' -c flush -c 'read -P 0x5a 1M 64k'
io "$disk" -c 'write 16M 512' || true
io -r "$part" -c 'read -P 0 0 2M'
io "$part" -c 'write 0 512' || true
qemu-img compare -f raw -F raw "$disk" disk.img --force-share
$DAEMON --pidfile daemon.pid > second.out 2>&1 && echo 'a second daemon' || echo 'no second daemon'

echo '# monitors'
$QMP qmp.sock query-block-exports
$QMP qmp.sock 'nbd-server-add {"device":"nested","name":"more","writable":true}'
$QMP qmp.sock 'nbd-server-remove {"name":"more"}' 'blockdev-del {"node-name":"nested"}' 'blockdev-del {"node-name":"nested"}'
$QMP qmp.sock "blockdev-add {\"driver\":\"file\",\"node-name\":\"tail\",\"filename\":\"$PWD/backup.img\",\"read-only\":true}" \
  'block-export-add {"type":"nbd","id":"export2","node-name":"tail","name":"tail","allocation-depth":true}'
nbdinfo --size 'nbd+unix:///tail?socket=nbd.sock'
$QMP qmp.sock 'block-export-del {"id":"export2"}' 'block-export-del {"id":"export2"}' 'block_resize {"node-name":"tail","size":1}'
$QMP qmp.sock 'object-del {"id":"secret0"}' 'object-del {"id":"secret0"}' query-jobs
printf '{"execute":"qmp_capabilities"}{"execute":"query-jobs"}{"execute":"nope"}' | $QMP --raw pretty.sock

echo '# ends'
$QMP qmp.sock quit
while kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
ls *.pid 2> /dev/null || echo 'no pidfile'
qemu-io -f raw disk.img -c 'read -P 0x5a 1M 64k' | head -1

echo '# TLS, in the foreground'
$DAEMON --object tls-creds-psk,id=tls0,dir="$PWD/tls",endpoint=server \
  --blockdev file,node-name=disk,filename=disk.img,read-only=on \
  --nbd-server addr.type=unix,addr.path=nbd.sock,tls-creds=tls0 --export nbd,id=e,node-name=disk,name=disk \
  --pidfile daemon.pid &
until test -s daemon.pid; do sleep 0.02; done
nbdinfo --size "nbds+unix://colobus@/disk?socket=nbd.sock&tls-psk-file=tls/keys.psk"
nbdinfo --size "$disk" > /dev/null 2>&1 || echo 'not without TLS'
kill -TERM $!
wait $! && echo 'ended in order'
