// SPDX-License-Identifier: Apache-2.0
#include "platform/privileges.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace things {

User harmless_user() {
    for (const char* name : {"kpn-things-gateway", "nobody"})
        if (const passwd* known = ::getpwnam(name)) // NOLINT(concurrency-mt-unsafe): before any thread
            return {name, known->pw_uid, known->pw_gid};
    return {"nobody", 65534, 65534};
}

bool become(const User& user, bool with_groups) {
    const int grouped = with_groups ? ::initgroups(user.name.c_str(), user.gid) : ::setgroups(0, nullptr);
    return grouped == 0 && ::setresgid(user.gid, user.gid, user.gid) == 0 &&
           ::setresuid(user.uid, user.uid, user.uid) == 0;
}

void drop_capabilities() {
    // The kernel says where its list ends.
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    (void)::syscall(SYS_capset, &header, none);
}

} // namespace things
