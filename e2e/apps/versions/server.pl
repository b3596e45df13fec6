# Answers with the version that was pushed. One child per connection; nothing to install, so that a push takes little.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $port = $ENV{PORT} || 5000;
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 64, ReuseAddr => 1)
    or die "cannot listen on $port: $!\n";
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';
open my $file, '<', 'VERSION' or die "no VERSION: $!\n";
chomp(my $version = <$file>);

while (1) {
    my $client = $server->accept or next;
    my $child = fork;
    die "cannot fork: $!\n" unless defined $child;
    if ($child) { close $client; next }
    $SIG{TERM} = 'DEFAULT';
    alarm 30;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my $body = "version=$version\n";
    printf $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
        length $body, $body;
    exit 0;
}
