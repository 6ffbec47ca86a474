#!/bin/sh
# Records demo.pcap: real programs (dnsmasq, dig, python's http.server, curl, sshd, ssh, chronyd, ping) talking over a veth pair
# between two network namespaces of this machine. Nothing leaves the host.
# Needs root, tcpdump, dnsmasq, dig, curl, sshd, ssh, chronyd, ping, ethtool, python3. Usage: record-demo.sh [OUTPUT]
set -eu
out=${1:-$(dirname "$0")/demo.pcap}
srv=ftdemo-srv cli=ftdemo-cli
work=$(mktemp -d)
cleanup() {
	for f in "$work"/*.pid; do [ -s "$f" ] && kill "$(cat "$f")" 2>/dev/null || :; done
	ip netns del $srv 2>/dev/null || :
	ip netns del $cli 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT INT TERM

# The network: one server with three addresses, a dozen clients as addresses of the other end.
ip netns add $srv
ip netns add $cli
ip link add ftdemo0 netns $cli type veth peer name ftdemo1 netns $srv
clients="11 12 13 14 15 21 22 23 31 32 40 77"
ip -n $srv link set lo up
ip -n $cli link set lo up
ip -n $srv link set ftdemo1 up
ip -n $cli link set ftdemo0 up
for a in 1 2 3; do ip -n $srv addr add 10.20.0.$a/24 dev ftdemo1; done
for a in $clients; do ip -n $cli addr add 10.20.0.$a/24 dev ftdemo0; done
ip -n $srv addr add fd20::1/64 dev ftdemo1 nodad
ip -n $cli addr add fd20::11/64 dev ftdemo0 nodad
# Segments as they would be on a wire, not as the kernel hands them round.
ip netns exec $srv ethtool -K ftdemo1 tso off gso off gro off tx off >/dev/null 2>&1 || :
ip netns exec $cli ethtool -K ftdemo0 tso off gso off gro off tx off >/dev/null 2>&1 || :

# The servers.
: >"$work/hosts"
for h in www mail files wiki git printer; do echo "10.20.0.2 $h.example.test" >>"$work/hosts"; done
ip netns exec $srv dnsmasq --no-resolv --no-hosts --addn-hosts="$work/hosts" --listen-address=10.20.0.1 --bind-interfaces \
	--pid-file="$work/dns.pid" --cache-size=150 --txt-record=big.example.test,"$(printf 'x%.0s' $(seq 200))" --user=root --keep-in-foreground &
mkdir "$work/www"
echo '<h1>flowtools</h1>' >"$work/www/index.html"
for kb in 2 20 90 400; do dd if=/dev/urandom of="$work/www/$kb.bin" bs=1024 count=$kb 2>/dev/null; done
(cd "$work/www" && exec ip netns exec $srv python3 -m http.server --bind 10.20.0.2 80 >/dev/null 2>&1) & echo $! >"$work/http.pid"
(cd "$work/www" && exec ip netns exec $srv python3 -m http.server --bind fd20::1 8080 >/dev/null 2>&1) & echo $! >"$work/http6.pid"
ssh-keygen -q -t ed25519 -N '' -f "$work/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$work/id"
cp "$work/id.pub" "$work/authorized"
mkdir -p /run/sshd
cat >"$work/sshd.conf" <<EOF
ListenAddress 10.20.0.3:22
HostKey $work/hostkey
AuthorizedKeysFile $work/authorized
PidFile $work/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin yes
EOF
ip netns exec $srv /usr/sbin/sshd -f "$work/sshd.conf"
cat >"$work/chrony.conf" <<EOF
local stratum 8
allow 10.20.0.0/24
bindaddress 10.20.0.1
cmdport 0
pidfile $work/chronyd.pid
EOF
ip netns exec $srv chronyd -x -f "$work/chrony.conf"

ip netns exec $srv tcpdump -q -n -i ftdemo1 -s 128 -w "$work/demo.pcap" >/dev/null 2>&1 & dump=$!
sleep 1

# The day of the clients.
names="www mail files wiki git printer nosuch ftp"
in_cli() { ip netns exec $cli "$@" >/dev/null 2>&1 || :; }
lookups() { # client, count
	i=0
	for n in $names $names $names; do
		[ $i -lt "$2" ] || break
		in_cli dig +tries=1 +time=1 -b 10.20.0.$1 @10.20.0.1 $n.example.test
		i=$((i + 1))
	done
}
get() { in_cli curl -s -o /dev/null --interface 10.20.0.$1 http://10.20.0.2/$2; }
lookups 11 12; get 11 index.html; get 11 400.bin
lookups 12 5; get 12 20.bin; get 12 90.bin; get 12 index.html
lookups 13 3; get 13 2.bin; get 13 missing.html
lookups 14 8; get 14 90.bin
lookups 15 2; get 15 index.html
for c in 21 22 23; do lookups $c 2; get $c 20.bin; done
lookups 77 24
in_cli dig +tcp -b 10.20.0.31 @10.20.0.1 big.example.test txt
in_cli dig -b 10.20.0.31 @10.20.0.1 big.example.test txt
in_cli dig -x 10.20.0.2 -b 10.20.0.32 @10.20.0.1
for c in 11 31 40; do
	printf 'server 10.20.0.1 iburst\nbindacqaddress 10.20.0.%s\ncmdport 0\npidfile %s/client%s.run\n' $c "$work" $c >"$work/client.conf"
	ip netns exec $cli timeout 9 chronyd -x -Q -t 6 -f "$work/client.conf" >/dev/null 2>&1 || :
done
ssh_as() { # client, command
	ip netns exec $cli ssh -n -b 10.20.0.$1 -i "$work/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		root@10.20.0.3 "$2" >/dev/null 2>&1 || :
}
ssh_as 40 'for i in 1 2 3 4 5; do date; sleep 0.3; done'
ssh_as 12 'head -c 60000 /dev/urandom'
in_cli ping -c 4 -i 0.2 -I 10.20.0.32 10.20.0.1
in_cli ping -c 2 -i 0.2 -s 3000 -I 10.20.0.32 10.20.0.2
in_cli ping -c 3 -i 0.2 -I 10.20.0.77 10.20.0.99
in_cli curl -s -m 2 --interface 10.20.0.77 http://10.20.0.2:81/
in_cli dig +tries=1 +time=1 -b 10.20.0.77 @10.20.0.3 www.example.test
in_cli ping -6 -c 2 -i 0.2 fd20::1
in_cli curl -g -s -o /dev/null 'http://[fd20::1]:8080/20.bin'
get 11 20.bin
sleep 1
kill -TERM $dump
wait $dump || :
cp "$work/demo.pcap" "$out"
