// SPDX-License-Identifier: Apache-2.0
#include "config/last_good.hpp"

#include "config/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace things {

namespace {

std::filesystem::path state_directory() {
    // systemd separates several by colons; the first one is the service's own.
    const char* given =
        std::getenv("STATE_DIRECTORY"); // NOLINT(concurrency-mt-unsafe): nobody sets variables
    const std::string_view all = given ? given : "";
    return all.empty() ? "/var/lib/kpn-things-gateway" : std::string(all.substr(0, all.find(':')));
}

std::string error_text(int error) {
    return std::error_code(error, std::generic_category()).message();
}

class Descriptor {
public:
    Descriptor(const std::filesystem::path& path, int flags)
        : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
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

/// 0, or the error.
int write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR)
            return errno;
        if (written > 0)
            text.remove_prefix(static_cast<std::size_t>(written));
    }
    return ::fsync(file) == 0 ? 0 : errno;
}

int write_new(const std::filesystem::path& path, const std::string& text) {
    // O_EXCL: nobody's link is followed; what a crash left of an earlier one goes first.
    ::unlink(path.c_str());
    const Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    return file.number() < 0 ? errno : write_all(file.number(), text);
}

} // namespace

LastGood::LastGood(const std::filesystem::path& config) {
    // Named for the file it is of: more gateways of one machine may share the directory.
    std::error_code ignored;
    std::string name = std::filesystem::absolute(config, ignored).lexically_normal().string();
    std::replace(name.begin(), name.end(), '/', '-');
    file_ = state_directory() / fmt::format("last-good{}.yaml", name.substr(0, 200));
}

std::optional<std::string> LastGood::date() const {
    struct stat status {};
    std::tm parts{};
    if (::stat(file_.c_str(), &status) != 0 || !::localtime_r(&status.st_mtime, &parts))
        return std::nullopt;
    char text[32];
    return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts));
}

std::string LastGood::keep(const std::string& text) const {
    const std::lock_guard lock(writing_);
    std::error_code error;
    // Each start accepts the same one: that must not cost flash.
    if (const FileText old = read_text_file(file_); old.reason.empty() && old.text == text)
        return {};
    if (!std::filesystem::exists(file_.parent_path(), error))
        std::filesystem::create_directory(file_.parent_path(), error);
    const std::filesystem::path next = file_.string() + ".new";
    if (const int failure = write_new(next, text); failure != 0)
        return fmt::format("cannot write {}: {}", next.string(), error_text(failure));
    // Only what is on the disk whole may take the old one's place, and the name must last as well.
    std::filesystem::rename(next, file_, error);
    if (error)
        return fmt::format("cannot replace {}: {}", file_.string(), error.message());
    const Descriptor directory(file_.parent_path(), O_RDONLY | O_DIRECTORY);
    if (directory.number() < 0 || ::fsync(directory.number()) != 0)
        return fmt::format("cannot sync {}: {}", file_.parent_path().string(), error_text(errno));
    return {};
}

} // namespace things
