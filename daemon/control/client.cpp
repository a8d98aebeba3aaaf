// SPDX-License-Identifier: Apache-2.0
#include "control/client.hpp"

#include "control/response.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace things {

namespace {

using Clock = std::chrono::steady_clock;
using Status = ControlAnswer::Status;

constexpr int unavailable = 69; // EX_UNAVAILABLE, design.md section 7
// The status of a thousand devices takes a few MiB; more is no answer of ours.
constexpr std::size_t longest_line = std::size_t{64} << 20;

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

std::string reason(int error) {
    return std::error_code(error, std::generic_category()).message();
}

ControlAnswer fail(Status status, std::string text) {
    ControlAnswer answer;
    answer.status = status;
    answer.error = std::move(text);
    answer.exit_code = unavailable;
    return answer;
}

bool wait_for(int fd, short events, Clock::time_point until) {
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd waiting{fd, events, 0};
        const int ready = poll(&waiting, 1, left > 0 ? static_cast<int>(left) : 0);
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

/// Returns an error number, 0 if connected.
int connect_to(int fd, const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return ENAMETOOLONG;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

bool send_all(int fd, std::string_view text, Clock::time_point until) {
    while (!text.empty()) {
        const auto sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent > 0)
            text.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLOUT, until)))
            return false;
    }
    return true;
}

/// Lines as they come, each within the patience.
class LineReader {
public:
    LineReader(int fd, std::chrono::milliseconds patience) : fd_(fd), patience_(patience) {}

    /// False at the end, after too long a silence, or on a line without end; `problem` then says which.
    bool next(std::string& line, std::string& problem) {
        const auto until = Clock::now() + patience_;
        std::size_t searched = 0;
        for (;;) {
            const auto end = buffer_.find('\n', searched);
            if (end != std::string::npos) {
                line = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return true;
            }
            searched = buffer_.size();
            if (searched > longest_line) {
                problem = "the daemon's answer does not end";
                return false;
            }
            if (!fill(until, problem))
                return false;
        }
    }

private:
    bool fill(Clock::time_point until, std::string& problem) {
        if (!wait_for(fd_, POLLIN, until)) {
            problem = fmt::format("the daemon did not answer within {:.0f} s",
                                  std::chrono::duration<double>(patience_).count());
            return false;
        }
        std::array<char, 65536> chunk{};
        const auto count = recv(fd_, chunk.data(), chunk.size(), 0);
        if (count > 0)
            buffer_.append(chunk.data(), static_cast<std::size_t>(count));
        else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
            problem = "the daemon closed the connection without an answer";
            return false;
        }
        return true;
    }

    int fd_;
    std::chrono::milliseconds patience_;
    std::string buffer_;
};

ControlAnswer read_answer(int fd, std::chrono::milliseconds patience,
                          const std::function<void(const std::string&)>& on_progress) {
    LineReader lines(fd, patience);
    std::string line, problem;
    while (lines.next(line, problem)) {
        auto response = parse_response(line);
        if (!response)
            return fail(Status::broken, "the daemon's answer is not understood; is it of another version?");
        if (!response->is_done) {
            if (on_progress)
                on_progress(response->json);
            continue;
        }
        ControlAnswer answer;
        answer.status = response->is_ok ? Status::ok : Status::failed;
        answer.exit_code = response->is_ok ? 0 : response->exit_code;
        answer.result = std::move(response->json);
        answer.error = std::move(response->error);
        return answer;
    }
    return fail(Status::broken, problem);
}

} // namespace

ControlAnswer ask_daemon(const std::filesystem::path& socket_path, const std::string& request,
                         std::chrono::milliseconds patience,
                         const std::function<void(const std::string&)>& on_progress) {
    const Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0)
        return fail(Status::broken, reason(errno));
    const auto path = socket_path.string();
    const auto until = Clock::now() + patience;
    int error = connect_to(fd.get(), path);
    // A full backlog is EAGAIN for a Unix socket; there is nothing to wait on, so it is tried again.
    while (error == EAGAIN && Clock::now() < until) {
        poll(nullptr, 0, 10);
        error = connect_to(fd.get(), path);
    }
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        return fail(Status::absent, fmt::format("no gateway is running (nobody answers at {})", path));
    if (error == EACCES || error == EPERM)
        return fail(Status::denied,
                    fmt::format("you may not talk to the running gateway: {}: {}", path, reason(error)));
    if (error != 0)
        return fail(Status::broken, fmt::format("{}: {}", path, reason(error)));
    const bool is_sent = send_all(fd.get(), request + "\n", until);
    // A daemon that turns a client away says why before it closes, and does not read the request.
    auto answer = read_answer(fd.get(), patience, on_progress);
    if (!is_sent && answer.status == Status::broken)
        answer.error = "the daemon does not take the request";
    return answer;
}

} // namespace things
