// SPDX-License-Identifier: Apache-2.0
#include "polling/host_process.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace things {

namespace {

/// Closes when the scope ends.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

/// Above all numbers that the child's descriptors get, so that putting one in place hits no other.
int move_up(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

std::string error_text(const char* what) {
    return fmt::format("{}: {}", what, std::strerror(errno));
}

int spawn(const SourceOptions& options, const std::vector<std::string>& arguments, int socket, int wake,
          int messages, pid_t& pid) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, messages, 2);
    posix_spawn_file_actions_adddup2(&actions, socket, 3);
    posix_spawn_file_actions_adddup2(&actions, wake, 4);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0); // so that what the plugin starts can be ended with it
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str())); // NOLINT: posix_spawn does not write to it
    argv.push_back(nullptr);
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8";
    const std::array<char*, 3> environment = {path, locale, nullptr};
    const int error = posix_spawn(&pid, options.host_executable.c_str(), &actions, &attributes, argv.data(),
                                  environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/// The parent of a process that is not dead yet; 0: it is, or never was.
pid_t parent_of(pid_t process) {
    const Descriptor file(::open(fmt::format("/proc/{}/stat", process).c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 512> text{};
    if (file.get() < 0 || ::read(file.get(), text.data(), text.size() - 1) <= 0)
        return 0;
    // Its name may have brackets and spaces in it; behind the last one come state and parent.
    const char* end = std::strrchr(text.data(), ')');
    char state = 0;
    long parent = 0;
    if (end == nullptr || std::sscanf(end + 1, " %c %ld", &state, &parent) != 2 || state == 'Z')
        return 0;
    return static_cast<pid_t>(parent);
}

std::vector<pid_t> children_of(pid_t process) {
    std::vector<pid_t> children;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename();
        pid_t candidate = 0;
        const auto [rest, problem] = std::from_chars(name.data(), name.data() + name.size(), candidate);
        if (problem == std::errc() && rest == name.data() + name.size() && parent_of(candidate) == process)
            children.push_back(candidate);
    }
    return children;
}

/// Kills what `process` started, and what that started. It adopts its descendants' orphans, so each of them
/// becomes its child in the end; and it stands still meanwhile, so that the end comes.
void end_descendants(pid_t process) {
    constexpr int most_rounds = 100;
    ::kill(process, SIGSTOP);
    for (int round = 0; round < most_rounds; ++round) {
        const std::vector<pid_t> children = children_of(process);
        if (children.empty())
            return;
        for (const pid_t child : children)
            ::kill(child, SIGKILL);
        ::poll(nullptr, 0, 1); // they are dead at once, their children have to find the new parent
    }
}

} // namespace

std::string describe_end(int wait_status) {
    if (WIFEXITED(wait_status))
        return fmt::format("ended by itself with exit code {}", WEXITSTATUS(wait_status));
    if (!WIFSIGNALED(wait_status))
        return "ended";
    const int number = WTERMSIG(wait_status);
    const char* name = sigabbrev_np(number);
    const char* words = sigdescr_np(number);
    std::string text = fmt::format("was ended by SIG{} ({})", name == nullptr ? std::to_string(number) : name,
                                   words == nullptr ? "unknown signal" : words);
    if (number == SIGKILL)
        text += "; if nobody did that by hand, the machine ran out of memory";
    return text;
}

std::string HostProcess::start(const SourceOptions& options, const Tenant& tenant) {
    kill();
    int pair[2] = {-1, -1}, pipes[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wake_) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_text("socketpair");
    // The child gets its end as number 3, and dup2 onto a number that is itself in use would lose it.
    Descriptor ours(pair[0]), theirs(move_up(pair[1]));
    ::close(pair[1]);
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return error_text("pipe");
    Descriptor messages(pipes[0]), standard_error(move_up(pipes[1])), wake(move_up(wake_[1]));
    ::close(pipes[1]);
    if (theirs.get() < 0 || standard_error.get() < 0 || wake.get() < 0)
        return error_text("dup");
    fcntl(ours.get(), F_SETFL, O_NONBLOCK);
    fcntl(messages.get(), F_SETFL, O_NONBLOCK);
    std::vector<std::string> arguments = {"kpn-things-gateway",
                                          "plugin-host",
                                          "--fd",
                                          "3",
                                          "--wake",
                                          "4",
                                          "--parent",
                                          std::to_string(getpid()),
                                          "--memory",
                                          std::to_string(options.host_memory),
                                          "--programs",
                                          tenant.runs_programs ? "1" : "0",
                                          "--harmless",
                                          options.harmless_host && geteuid() == 0 ? "1" : "0",
                                          "--plugin",
                                          tenant.plugin.string()};
    for (const auto& path : tenant.named)
        arguments.insert(arguments.end(), {"--named", path.string()});
    for (const auto& path : tenant.folders)
        arguments.insert(arguments.end(), {"--folder", path.string()});
    const int error = spawn(options, arguments, theirs.get(), wake.get(), standard_error.get(), pid_);
    if (error != 0) {
        pid_ = -1;
        return fmt::format("{}: {}", options.host_executable.string(), std::strerror(error));
    }
    socket_ = ours.release();
    messages_ = messages.release();
    return {};
}

void HostProcess::end() {
    if (pid_ <= 0)
        return;
    end_descendants(pid_);
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL); // it may not have a group yet
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

void HostProcess::kill() {
    end();
    close_all();
}

std::string HostProcess::bury(Milliseconds patience) {
    if (pid_ <= 0)
        return "is gone";
    int status = 0;
    const auto until = std::chrono::steady_clock::now() + patience;
    pid_t ended = 0;
    while ((ended = waitpid(pid_, &status, WNOHANG)) == 0 && std::chrono::steady_clock::now() < until)
        // waitpid has no timeout.
        ::poll(nullptr, 0, 5);
    const pid_t pid = pid_;
    if (ended == 0) {
        end();
        return "closed its connection and had to be ended";
    }
    ::kill(-pid, SIGKILL); // what it had started
    pid_ = -1;
    return ended < 0 ? "is gone" : describe_end(status);
}

void HostProcess::close_messages() {
    if (messages_ >= 0)
        ::close(messages_);
    messages_ = -1;
}

void HostProcess::interrupt(bool on) {
    if (!is_running() || on == is_interrupted_)
        return;
    is_interrupted_ = on;
    char byte = 1;
    if (on)
        (void)!::send(wake_[0], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        (void)!::recv(wake_[1], &byte, 1, MSG_DONTWAIT);
}

void HostProcess::close_all() {
    close_messages();
    for (int* fd : {&socket_, &wake_[0], &wake_[1]})
        if (*fd >= 0)
            ::close(std::exchange(*fd, -1));
    is_interrupted_ = false;
}

} // namespace things
