# A web server on nothing but perl's core: one child per connection, one answer, ends on SIGTERM.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $port = $ENV{PORT} || 5000;
my $host = $ENV{LISTEN_HOST} || '0.0.0.0';
my $server = IO::Socket::INET->new(LocalAddr => $host, LocalPort => $port, Proto => 'tcp', Listen => 64, ReuseAddr => 1)
    or die "cannot listen on $host:$port: $!\n";
$SIG{TERM} = sub { print "Stopping\n"; exit 0 };
$SIG{CHLD} = 'IGNORE';
print "Listening on $host:$port\n";

while (1) {
    my $client = $server->accept or next;
    my $child = fork;
    die "cannot fork: $!\n" unless defined $child;
    if ($child) { close $client; next }
    answer($client);
    exit 0;
}

sub answer {
    my ($client) = @_;
    $SIG{TERM} = 'DEFAULT';
    alarm 30;
    my $request = <$client> // return;
    my $length = 0;
    while (defined(my $line = <$client>)) {
        $length = $1 if $line =~ /^content-length:\s*(\d+)/i;
        last if $line =~ /^\r?\n$/;
    }
    read $client, my $content, $length if $length && $length <= 1_000_000;
    $request =~ s/[\r\n]+$//;
    print "$request\n";
    my $greeting = $ENV{GREETING} || 'Hello from perl';
    my $dyno = $ENV{DYNO} || '';
    my $body = "$greeting\ndyno=$dyno\nrequest=$request\n";
    printf $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
        length $body, $body;
    close $client;
}
