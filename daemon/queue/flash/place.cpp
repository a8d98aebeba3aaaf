// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/place.hpp"

#include "queue/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace things {

namespace {

static_assert(sizeof(off_t) == 8, "a queue may be larger than 2 GiB");

constexpr std::size_t kept_aside = 3;

const char* ending(Aside why) {
    return why == Aside::damaged ? ".damaged-" : ".aside-";
}

std::vector<std::uint64_t> numbers_aside(const std::filesystem::path& path, Aside why) {
    std::vector<std::uint64_t> numbers;
    const std::string prefix = path.filename().string() + ending(why);
    std::error_code error;
    for (std::filesystem::directory_iterator at(path.parent_path(), error), end; !error && at != end;
         at.increment(error)) {
        const std::string name = at->path().filename().string();
        std::uint64_t n = 0;
        if (name.rfind(prefix, 0) != 0)
            continue;
        const auto [rest, code] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), n);
        if (code == std::errc() && rest == name.data() + name.size())
            numbers.push_back(n);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

/// Whether it begins as a queue does. One that was put aside whole may hold what is nowhere else.
bool looks_like_queue(const std::string& file) {
    constexpr std::streamoff where_it_says_so = 68; // SQLite's application id
    char id[4] = {};
    std::ifstream in(file, std::ios::binary);
    in.seekg(where_it_says_so);
    return in.read(id, sizeof id) && std::string_view(id, sizeof id) == "KPNq";
}

std::string name_of(uid_t user) {
    passwd entry{}, *known = nullptr;
    char buffer[4096];
    const bool is_known = ::getpwuid_r(user, &entry, buffer, sizeof buffer, &known) == 0 && known != nullptr;
    return is_known ? fmt::format("{} ({})", known->pw_name, user) : std::to_string(user);
}

} // namespace

PlaceLock::PlaceLock(const std::string& path, Kind kind) {
    const std::string name = path + ".lock";
    const int flags = kind == Kind::made ? O_RDWR | O_CREAT : O_RDONLY;
    descriptor_ = ::open(name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor_ < 0)
        return; // read-only or full: a lock file that is not there harms less than no gateway
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ::close(descriptor_);
        throw QueueError(fmt::format("queue {}: another gateway is using it", path));
    }
}

PlaceLock::~PlaceLock() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

bool Ballast::make() {
    struct stat file {};
    if (::stat(path_.c_str(), &file) == 0 && file.st_size >= size_)
        return true;
    std::error_code error;
    const auto space = std::filesystem::space(std::filesystem::path(path_).parent_path(), error);
    if (error || space.available < 2 * static_cast<std::uintmax_t>(size_))
        return false;
    const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return false;
    const bool made = ::posix_fallocate(descriptor, 0, size_) == 0;
    ::close(descriptor);
    if (!made)
        ::unlink(path_.c_str());
    return made;
}

bool Ballast::release() {
    return ::unlink(path_.c_str()) == 0;
}

std::string prepared(const std::string& path) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    return path;
}

std::string put_aside(const std::string& path, Aside why) {
    const std::vector<std::uint64_t> numbers = numbers_aside(path, why);
    std::error_code ignored;
    for (std::size_t i = 0; i + kept_aside <= numbers.size(); ++i) {
        const std::string old = fmt::format("{}{}{}", path, ending(why), numbers[i]);
        if (why == Aside::other && looks_like_queue(old))
            continue;
        std::filesystem::remove_all(old, ignored);
        std::filesystem::remove_all(old + "-wal", ignored);
    }
    std::string aside = fmt::format("{}{}{}", path, ending(why), numbers.empty() ? 1 : numbers.back() + 1);
    if (::rename(path.c_str(), aside.c_str()) != 0)
        throw std::system_error(errno, std::generic_category(), fmt::format("rename {} to {}", path, aside));
    if (::rename((path + "-wal").c_str(), (aside + "-wal").c_str()) != 0)
        std::filesystem::remove_all(path + "-wal", ignored);
    std::filesystem::remove_all(path + "-shm", ignored);
    std::filesystem::remove_all(path + "-journal", ignored);
    return aside;
}

std::vector<std::string> files_aside(const std::string& path) {
    std::vector<std::string> files;
    for (const Aside why : {Aside::damaged, Aside::other})
        for (const std::uint64_t n : numbers_aside(path, why))
            files.push_back(fmt::format("{}{}{}", path, ending(why), n));
    return files;
}

std::string newest_damaged(const std::string& path) {
    const std::vector<std::uint64_t> numbers = numbers_aside(path, Aside::damaged);
    return numbers.empty() ? std::string()
                           : fmt::format("{}{}{}", path, ending(Aside::damaged), numbers.back());
}

std::optional<PlaceIdentity> identity_of(const std::string& path) {
    PlaceIdentity identity;
    for (auto [name, found] : {std::pair(path, &identity.file), std::pair(path + "-wal", &identity.log)}) {
        struct stat file {};
        if (::stat(name.c_str(), &file) == 0)
            *found = {file.st_dev, file.st_ino};
        else if (errno != ENOENT && errno != ENOTDIR)
            return std::nullopt;
    }
    return identity;
}

bool sync_file(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    const bool is_durable = ::fsync(descriptor) == 0;
    ::close(descriptor);
    return is_durable;
}

void sync_folder(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    ::fsync(descriptor);
    ::close(descriptor);
}

std::string place_problem(const std::string& path) {
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0)
        return {};
    if (S_ISLNK(file.st_mode))
        return "a link stands in its place";
    if (!S_ISREG(file.st_mode))
        return "something that is no file stands in its place";
    return trust_problem(path);
}

std::string trust_problem(const std::filesystem::path& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0)
        return {};
    const char* kind = S_ISDIR(found.st_mode) ? "folder" : "file";
    if (found.st_uid != 0 && found.st_uid != ::geteuid())
        return fmt::format(
            "the {} {} belongs to user {}, who could plant readings there; if that is right: chown "
            "{} {}",
            kind, path.string(), name_of(found.st_uid), ::geteuid(), path.string());
    // The group of root and that of this process are as good as their users: many a umask is 002.
    const bool is_groups = (found.st_mode & S_IWGRP) != 0 && found.st_gid != 0 && found.st_gid != ::getegid();
    if (is_groups || (found.st_mode & S_IWOTH) != 0)
        return fmt::format("others may write to the {} {}, and could plant readings there: chmod go-w {}",
                           kind, path.string(), path.string());
    return {};
}

} // namespace things
