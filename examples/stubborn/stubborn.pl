# What not to do. Never listens on PORT; with LOOPBACK_ONLY it does, where nobody can reach it; with IGNORE_TERM it does
# not stop when asked.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = 'IGNORE' if $ENV{IGNORE_TERM};
my $server;
if ($ENV{LOOPBACK_ONLY}) {
    $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT}, Proto => 'tcp', Listen => 1)
        or die "cannot listen: $!\n";
    print "Listening on 127.0.0.1 only\n";
} else {
    print "Not listening at all\n";
}
sleep 60 while 1;
