# Says which release runs. One request at a time: what this example shows happens before the first.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';
my $port = $ENV{PORT} || 5000;
my $listener = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "port $port: $!\n";
my $page = sprintf "%s\nrelease=%s\n", $ENV{GREETING} || 'Hello after the release phase', $ENV{HEROKU_RELEASE_VERSION} || '';
my $head = sprintf "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close", length $page;
while (1) {
    my $visitor = $listener->accept or next;
    my $line = <$visitor>;
    $line = <$visitor> while defined $line && $line =~ /[^\r\n]/;
    print $visitor "$head\r\n\r\n$page";
}
