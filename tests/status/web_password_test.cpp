// SPDX-License-Identifier: Apache-2.0
#include "status/web_password.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace things;
using std::chrono::milliseconds;

TEST_CASE("the password counts, whatever the user name and the scheme's case") {
    WebPassword password("correct horse");
    const WebPassword::Time now{};
    CHECK(password.admits("Basic YWRtaW46Y29ycmVjdCBob3JzZQ==", "192.0.2.1", now)); // admin
    CHECK(password.admits("basic OmNvcnJlY3QgaG9yc2U=", "192.0.2.1", now));         // nobody
    for (const char* wrong : {"", "Basic", "Basic ", "Basic Y29ycmVjdCBob3JzZQ==",
                              "Bearer OmNvcnJlY3QgaG9yc2U=", "Basic !!!!", "Basic OmNvcnJlY3QgaG9yc2",
                              "Basic OmNvcnJlY3QgaG9yc2Vz", "Basic ====", "Basic OkNvcnJlY3QgaG9yc2U="})
        CHECK_FALSE_MESSAGE(password.admits(wrong, "192.0.2.1", now), wrong);
    CHECK_FALSE(WebPassword("").is_asked());
}

TEST_CASE("a wrong guess shuts its network out for a second, and no other") {
    WebPassword password("correct horse");
    const WebPassword::Time now{};
    CHECK(password.wait("2001:db8::1", now) == milliseconds(0));
    CHECK_FALSE(password.admits("Basic Ong=", "2001:db8::1", now));
    CHECK(password.wait("2001:db8::1", now) == milliseconds(1000));
    CHECK(password.wait("2001:db8::ffff:1", now + milliseconds(400)) == milliseconds(600)); // the same host's
    CHECK(password.wait("2001:db8:0:1::1", now) == milliseconds(0));
    CHECK(password.wait("192.0.2.1", now) == milliseconds(0));
    CHECK(password.wait("2001:db8::1", now + milliseconds(1000)) == milliseconds(0));
}
