// SPDX-License-Identifier: Apache-2.0
#include "queue/place.hpp"

#include "queue/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace things {

namespace {

static_assert(sizeof(off_t) == 8, "a queue may be larger than 2 GiB");

constexpr std::size_t kept_aside = 3;

std::vector<std::uint64_t> numbers_aside(const std::filesystem::path& path) {
    std::vector<std::uint64_t> numbers;
    const std::string prefix = path.filename().string() + ".damaged-";
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

} // namespace

PlaceLock::PlaceLock(const std::string& path) {
    const std::string name = path + ".lock";
    descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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

std::string put_aside(const std::string& path) {
    const std::filesystem::path place(path);
    const std::vector<std::uint64_t> numbers = numbers_aside(place);
    std::error_code ignored;
    for (std::size_t i = 0; i + kept_aside <= numbers.size(); ++i) {
        const std::string old = fmt::format("{}.damaged-{}", path, numbers[i]);
        std::filesystem::remove_all(old, ignored);
        std::filesystem::remove_all(old + "-wal", ignored);
    }
    std::string aside = fmt::format("{}.damaged-{}", path, numbers.empty() ? 1 : numbers.back() + 1);
    if (::rename(path.c_str(), aside.c_str()) != 0)
        throw std::system_error(errno, std::generic_category(), fmt::format("rename {} to {}", path, aside));
    if (::rename((path + "-wal").c_str(), (aside + "-wal").c_str()) != 0)
        std::filesystem::remove_all(path + "-wal", ignored);
    std::filesystem::remove_all(path + "-shm", ignored);
    std::filesystem::remove_all(path + "-journal", ignored);
    return aside;
}

std::string newest_aside(const std::string& path) {
    const std::vector<std::uint64_t> numbers = numbers_aside(path);
    return numbers.empty() ? std::string() : fmt::format("{}.damaged-{}", path, numbers.back());
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
    if (file.st_uid != ::geteuid())
        return "it belongs to another user";
    return {};
}

} // namespace things
