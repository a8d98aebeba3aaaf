// SPDX-License-Identifier: Apache-2.0
#include "config/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::size_t most_bytes = std::size_t{8} * 1024 * 1024;

std::string why(int error) {
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
        return "permission denied; run this as the service's user or with sudo";
    default:
        return std::strerror(error); // NOLINT(concurrency-mt-unsafe): glibc's is thread-safe for known codes
    }
}

class Descriptor {
public:
    explicit Descriptor(const std::filesystem::path& path)
        // O_NONBLOCK: a pipe in the file's place must not stop the start; it is refused below.
        : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    ~Descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int number() const { return number_; }

private:
    int number_;
};

} // namespace

FileText read_text_file(const std::filesystem::path& path) {
    const Descriptor file(path);
    if (file.number() < 0)
        return {"", why(errno)};
    struct stat status {};
    if (::fstat(file.number(), &status) != 0)
        return {"", why(errno)};
    if (S_ISDIR(status.st_mode))
        return {"", "it is a directory; name a file"};
    if (!S_ISREG(status.st_mode))
        return {"", "it is not a regular file"};
    FileText result;
    // A fleet has hundreds of small secret files: no large buffer for each.
    const auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
    result.text.reserve(std::min(size + 1, most_bytes)); // growing would hold it twice
    std::string buffer(std::clamp(size + 1, std::size_t{256}, std::size_t{256} * 1024), '\0');
    for (;;) {
        const ssize_t got = ::read(file.number(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return {"", why(errno)};
        if (got == 0)
            return result;
        result.text.append(buffer, 0, static_cast<std::size_t>(got));
        if (result.text.size() > most_bytes)
            return {"", "it is larger than 8 MiB; split it with `include`, or list devices in a CSV file"};
    }
}

} // namespace things
