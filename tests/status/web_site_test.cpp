// SPDX-License-Identifier: Apache-2.0
#include "status/web_site.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("a Host header may be an address, localhost or the machine's own name") {
    for (const char* host : {"127.0.0.1:8480", "[::1]:8480", "[::1]", "192.0.2.7", "localhost",
                             "LOCALHOST:8480", "gw-7", "gw-7:8480", "gw-7.local"})
        CHECK_MESSAGE(is_host_allowed(host, "gw-7"), host);
    for (const char* host : {"", "evil.example", "localhost.evil.example", "gw-7.evil.example", "gw-77",
                             "127.0.0.1.evil.example", "[::1", "gw"})
        CHECK_FALSE_MESSAGE(is_host_allowed(host, "gw-7"), host);
    CHECK_FALSE(is_host_allowed("", ""));
    CHECK_FALSE(is_host_allowed("[::1]evil", ""));
    CHECK(is_host_allowed("Gateway.Example:8480", "gw-7", {"gateway.example"}));
}

TEST_CASE("gzip is used where the client says so") {
    for (const char* accepted : {"gzip", "deflate, gzip, br", "br;q=1.0,GZIP ; q=0.5", "gzip;q=0.001"})
        CHECK_MESSAGE(is_gzip_accepted(accepted), accepted);
    for (const char* refused : {"", "identity", "gzip;q=0", "gzip; q=0.000, *", "xgzip", "br"})
        CHECK_FALSE_MESSAGE(is_gzip_accepted(refused), refused);
}
