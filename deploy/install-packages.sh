#!/bin/sh
# Installs those of the Debian packages named as arguments that are missing, without letting any of their daemons start.
set -eu

missing=
for package in "$@"; do
  case $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
    ?i*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

fail() {
  echo "install-packages: $*" >&2
  exit 1
}

command -v apt-get >/dev/null ||
  fail "this machine has no apt-get; please install by hand:$missing"
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    fail "needs root once, and there is no sudo; please run as root: apt-get install$missing"
  echo "Needs Debian packages:$missing (asking sudo for it)"
  exec sudo sh "$0" "$@"
fi

# One at a time: two of us would restore each other's policy-rc.d.
exec 9>/var/lock/sallyport-packages
flock 9

policy=/usr/sbin/policy-rc.d
saved=$policy.before-sallyport
log=$(mktemp)
restore() {
  rm -f "$policy" "$log"
  if [ -e "$saved" ] || [ -L "$saved" ]; then mv "$saved" "$policy"; fi
}
# A run that was killed left the administrator's own file aside; ours must not take its place.
if [ -e "$saved" ] || [ -L "$saved" ]; then
  rm -f "$policy"
elif [ -e "$policy" ] || [ -L "$policy" ]; then
  mv "$policy" "$saved"
fi
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

# --no-remove: a mail server that is in use here is never pushed out by one that is only wanted for tests.
apt() {
  DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical \
    apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 9>&-
}
echo "Reading package lists ..."
apt update || {
  echo "install-packages: apt-get update failed, going on with the lists at hand:" >&2
  tail -n 3 "$log" >&2
}
echo "Installing$missing ..."
# shellcheck disable=SC2086
apt install --no-install-recommends --no-remove $missing || {
  tail -n 20 "$log" >&2
  fail "could not install$missing (apt-get's last words are above)"
}
echo "Installed$missing."
