// SPDX-License-Identifier: Apache-2.0
// Makes the kernel's random numbers new from here on, for a virtual machine that wakes from a copy
// (tests/support/guest.py).
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

int main(void) {
    return ioctl(open("/dev/urandom", O_WRONLY), RNDRESEEDCRNG) == 0 ? 0 : 1;
}
