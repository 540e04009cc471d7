#!/bin/sh
# user opens a shell of the ordinary user student, who has subordinate ids, or runs a command as that
# user.
cd /home/student || exit
[ $# -gt 0 ] || set -- bash --rcfile /etc/stagebox/bashrc -i
[ "$(id -u)" = 0 ] || exec "$@"
exec setpriv --reuid student --regid student --clear-groups env HOME=/home/student USER=student "$@"
