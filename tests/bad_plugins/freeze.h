/* SPDX-License-Identifier: Apache-2.0
 * Turns the descriptor that wakes a plugin against whoever writes to it: makes it block, fills it and empties
 * it. */
#include <fcntl.h>
#include <unistd.h>

static void freeze(int wake) {
    const unsigned long long most = 0xfffffffffffffffeULL;
    char bytes[4096];
    fcntl(wake, F_SETFL, O_NONBLOCK);
    while (write(wake, &most, sizeof most) > 0)
        ;
    while (read(wake, bytes, sizeof bytes) > 0)
        ;
    write(wake, &most, sizeof most);
    fcntl(wake, F_SETFL, 0);
}
