// SPDX-License-Identifier: Apache-2.0
#include "cli/queue_owner.hpp"

#include "platform/privileges.hpp"
#include "polling/host_reach.hpp"
#include "polling/work.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace things::cli {

namespace {

/// None if it is this process's own user, or nothing is there.
std::optional<struct stat> find_foreign(const std::filesystem::path& path) {
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    struct stat found {
    }, around{};
    const bool has_file = ::lstat(path.c_str(), &found) == 0;
    const bool has_folder = ::stat(folder.c_str(), &around) == 0;
    // A file that somebody put into a folder of another user's is not to be believed, nor is he to be become.
    // In root's own, /tmp say, the file's owner says more.
    if (has_folder && (!has_file || around.st_uid != 0))
        found = around;
    if ((!has_file && !has_folder) || found.st_uid == ::geteuid())
        return std::nullopt;
    return found;
}

std::string name_of(uid_t user) {
    const passwd* known = ::getpwuid(user); // NOLINT(concurrency-mt-unsafe): before any thread
    return known != nullptr ? known->pw_name : std::to_string(user);
}

bool become_owner(const struct stat& owner) {
    const passwd* known = ::getpwuid(owner.st_uid); // NOLINT(concurrency-mt-unsafe): before any thread
    return known != nullptr ? become({known->pw_name, owner.st_uid, known->pw_gid}, true)
                            : become({"", owner.st_uid, owner.st_gid}, false);
}

/// With the user's rights for the moment.
bool may_open(const User& user, const std::vector<std::filesystem::path>& paths) {
    const gid_t group = ::getegid();
    bool may = ::setegid(user.gid) == 0 && ::seteuid(user.uid) == 0;
    for (const auto& path : paths) {
        std::error_code hidden; // from this user
        const bool is_program = !std::filesystem::is_character_file(path, hidden);
        // What does not exist, nobody can open; that is told later.
        may = may && (::faccessat(AT_FDCWD, path.c_str(), is_program ? R_OK : R_OK | W_OK, AT_EACCESS) == 0 ||
                      errno == ENOENT);
    }
    return ::seteuid(0) == 0 && ::setegid(group) == 0 && may;
}

} // namespace

void give_up_root(const Config& config, const std::function<bool(const SourceConfig&)>& wanted) {
    if (::geteuid() != 0)
        return;
    const User user = harmless_user();
    std::vector<std::filesystem::path> paths;
    for (const SourceWork& work : make_work(config).sources)
        if (wanted(work.config))
            for (const auto& path : find_reach(work, true).named)
                paths.push_back(path);
    if (user.name != "nobody" || may_open(user, paths))
        (void)become(user, user.name != "nobody");
    drop_capabilities();
}

std::string foreign_queue_owner(const Config& config) {
    struct stat file {};
    const bool is_foreign = ::lstat(config.queue.path.c_str(), &file) == 0 && file.st_uid != ::geteuid();
    return is_foreign ? name_of(file.st_uid) : std::string();
}

bool become_queue_owner(const Config& config) {
    ::umask(0077); // as the daemon's: what is in the queue is nobody else's
    const std::string path = config.queue.path.string();
    const auto owner = find_foreign(config.queue.path);
    if (!owner)
        return true;
    if (::geteuid() == 0) {
        if (become_owner(*owner))
            return true;
        fmt::print(stderr, "error: cannot open {} as the user {} to whom it belongs: {}\n", path,
                   name_of(owner->st_uid), std::generic_category().message(errno));
        return false;
    }
    // A folder of somebody else's in which this user may write, and nothing is yet.
    if (!S_ISREG(owner->st_mode) &&
        ::access(config.queue.path.parent_path().c_str(), R_OK | W_OK | X_OK) == 0)
        return true;
    fmt::print(stderr,
               "error: the daemon does not run, and its queue {} belongs to user {}: use sudo, or start it\n",
               path, name_of(owner->st_uid));
    return false;
}

} // namespace things::cli
