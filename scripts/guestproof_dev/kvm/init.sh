#!/busybox sh
# shellcheck shell=dash disable=SC1091,SC2154
#
# PID 1 of the nested machine: the host's root under an overlay that is thrown away, the command in it, and what came of
# it into the share. The files /settings (out, limit) and /command are written for each run. Says nothing when all goes
# well: the console is for the kernel's complaints.

set -e # PID 1 that ends is a panic, and the reason is on the console
/busybox mkdir /proc /sys /host /share /upper /tree
/busybox mount -t proc proc /proc # from here on busybox finds its own commands
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
. /settings

for module in /modules/*; do
    insmod "$module"
done

transport=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o "$transport,cache=loose,ro" host /host
mount -t 9p -o "$transport,cache=none" share /share
mount -t tmpfs tmpfs /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/host,upperdir=/upper/data,workdir=/upper/work tree /tree
for folder in dev proc sys; do
    mount --rbind "/$folder" "/tree/$folder"
done
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# A file system that memory can be mapped from, which neither 9p nor an overlay is in every respect.
mkdir -p "/tree$out" /tree/.with-kvm
mount -t tmpfs tmpfs "/tree$out"
cp /busybox /command /tree/.with-kvm/

set +e

# What the host looks for, to tell a machine that is slow from one that hangs.
(
    while :; do
        echo >/share/alive
        sleep 1
    done
) &
(
    sleep "$limit"
    : >/share/late
    kill -KILL -1
) &
setsid chroot /tree /.with-kvm/busybox sh /.with-kvm/command </dev/null >/share/stdout 2>/share/stderr &
wait $!
code=$?
# Nothing may still be writing what is copied now. PID 1 is spared.
kill -KILL -1
cp -a "/tree$out/." /share/out/ 2>>/share/stderr || {
    echo "dev: not all that is in $out could be brought out." >>/share/stderr
    code=1
}
echo "$code" >/share/code.new
mv /share/code.new /share/code
reboot -f
