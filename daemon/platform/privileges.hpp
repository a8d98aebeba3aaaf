// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <sys/types.h>

// What root gives up before code of others runs, or bytes of others are parsed. For the main thread of a
// process that has no other.
namespace things {

struct User {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};

/// The service's own user where the package made one, else nobody.
[[nodiscard]] User harmless_user();

/// For good, with the user's own groups (serial ports belong to one of them) or with none. False, with errno:
/// it could not, and some of it may have happened: end the process. A process that is not root cannot.
[[nodiscard]] bool become(const User& user, bool with_groups);

/// All of them, also from what programs with capabilities of their own could bring. Harmless without any.
void drop_capabilities();

} // namespace things
