// SPDX-License-Identifier: Apache-2.0
#include "platform/socket_file.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace things {

namespace {

constexpr mode_t socket_mode = 0660;

std::string words(int error) {
    return std::generic_category().message(error);
}

sockaddr_un address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.string().size());
    return address;
}

/// Only a connection tells a living daemon from its leftovers: the file looks the same. The errno of trying.
int knock(const std::filesystem::path& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    const sockaddr_un address = address_of(path);
    const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    close(fd);
    return error;
}

std::string clear_the_way(const std::filesystem::path& path) {
    struct stat file {};
    if (lstat(path.c_str(), &file) != 0)
        return {}; // bind says what is wrong
    if (std::string problem = SocketFile::obstacle(path); !problem.empty())
        return problem;
    const int error = knock(path);
    if (error == 0 || error == EAGAIN)
        return "another gateway is running and answers there";
    if (error != ECONNREFUSED && error != ENOENT)
        return words(error);
    if (unlink(path.c_str()) != 0 && errno != ENOENT)
        return "the socket of an earlier run cannot be removed: " + words(errno);
    return {};
}

} // namespace

std::string SocketFile::obstacle(const std::filesystem::path& path) {
    struct stat file {};
    if (path.string().size() >= sizeof(sockaddr_un::sun_path))
        return "the path is longer than the " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
               " bytes a socket may have";
    if (lstat(path.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode))
        return "there is a file of that name that is no socket";
    return {};
}

bool SocketFile::is_answered(const std::filesystem::path& path) {
    const int error = path.string().size() < sizeof(sockaddr_un::sun_path) ? knock(path) : ENAMETOOLONG;
    return error == 0 || error == EAGAIN || error == EACCES;
}

std::string SocketFile::bind(int fd, const std::filesystem::path& path) {
    if (std::string problem = obstacle(path); !problem.empty())
        return problem;
    std::error_code ignored; // bind says what is wrong
    if (path.has_parent_path())
        std::filesystem::create_directories(path.parent_path(), ignored);
    if (std::string problem = clear_the_way(path); !problem.empty())
        return problem;
    const sockaddr_un address = address_of(path);
    struct stat file {};
    // On Linux the mode of the descriptor becomes that of the file, less what the umask takes away; chmod
    // gives that back.
    if (fchmod(fd, socket_mode) != 0 ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        chmod(path.c_str(), socket_mode) != 0 || lstat(path.c_str(), &file) != 0)
        return words(errno);
    path_ = path;
    device_ = file.st_dev;
    inode_ = file.st_ino;
    return {};
}

bool SocketFile::is_there() const {
    struct stat now {};
    return !path_.empty() && lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_ && now.st_dev == device_;
}

void SocketFile::remove() {
    if (is_there())
        unlink(path_.c_str());
}

} // namespace things
