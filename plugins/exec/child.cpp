// SPDX-License-Identifier: Apache-2.0
#include "exec/child.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace things {

namespace {

constexpr const char* stdbuf_library = "/usr/libexec/coreutils/libstdbuf.so"; // of coreutils, always there

struct Pipe {
    int ends[2] = {-1, -1};
    bool open() { return pipe2(ends, O_CLOEXEC) == 0; }
    ~Pipe() {
        for (const int end : ends)
            if (end >= 0)
                ::close(end);
    }
    int take(int which) { return std::exchange(ends[which], -1); }
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& text : texts)
        result.push_back(const_cast<char*>(text.c_str())); // NOLINT: exec does not write to them
    result.push_back(nullptr);
    return result;
}

/// Its default, where it has none of its own.
void add_default(std::vector<std::pair<std::string, std::string>>& environment, const char* name,
                 const char* value) {
    const auto is_it = [name](const auto& pair) {
        return pair.first == name;
    };
    if (std::none_of(environment.begin(), environment.end(), is_it))
        environment.emplace_back(name, value);
}

/// Into a pipe most programs print only when kilobytes have gathered, which takes a sensor hours. Python has
/// a switch; programs that print by way of C's stdio get what stdbuf(1) gives them.
void flush_lines(std::vector<std::pair<std::string, std::string>>& environment) {
    add_default(environment, "PYTHONUNBUFFERED", "1");
    // A service may forbid running code from this folder: then the loader would complain at each start.
    const int file = ::open(stdbuf_library, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void* const page = ::mmap(nullptr, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    ::close(file);
    if (page == MAP_FAILED)
        return;
    ::munmap(page, 1);
    add_default(environment, "LD_PRELOAD", stdbuf_library);
    add_default(environment, "_STDBUF_O", "L");
}

/// The file that `name` stands for; where there is none, one that does not exist, so that exec says so.
std::string find_program(const std::string& name, std::string_view path) {
    if (name.find('/') != std::string::npos)
        return name;
    std::string candidate;
    while (true) {
        const std::size_t end = path.find(':');
        const std::string folder(path.substr(0, end));
        candidate = (folder.empty() ? "." : folder) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0 || end == std::string_view::npos)
            return candidate;
        path.remove_prefix(end + 1);
    }
}

/// In the child, where after fork in a process with threads only plain system calls are safe.
[[noreturn]] void become(const char* program, const std::vector<char*>& command,
                         const std::vector<char*>& environment, int input, int output, int messages,
                         int failure, pid_t parent) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // set-user-ID programs do not become another user
    // The parent died between fork and prctl: the signal would never come.
    if (getppid() != parent)
        _exit(127);
    // exec keeps ignored signals ignored; a program may expect the defaults.
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL; // NOLINT: the system's macro
    for (int number = 1; number < 32; ++number)
        sigaction(number, &plain, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(input, 0);
    dup2(output, 1);
    dup2(messages, 2);
    dup2(failure, 3);
    // dup2 leaves it open at exec, but its closing is how the parent learns that exec worked.
    fcntl(3, F_SETFD, FD_CLOEXEC);
#ifdef SYS_close_range
    // Whatever a library opened without O_CLOEXEC.
    syscall(SYS_close_range, 4U, ~0U, 0);
#endif
    // With a slash in it: nothing is searched for any more, but a script without "#!" is still run by sh.
    execvpe(program, command.data(), environment.data());
    const int error = errno;
    (void)!::write(3, &error, sizeof error);
    _exit(127);
}

} // namespace

std::string Child::start(const std::vector<std::string>& command,
                         std::vector<std::pair<std::string, std::string>> environment) {
    stop(std::chrono::milliseconds(0));
    Pipe input, output, messages, failure;
    if (!input.open() || !output.open() || !messages.open() || !failure.open())
        return std::string("no pipe: ") + std::strerror(errno);
    add_default(environment, "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    add_default(environment, "LC_ALL", "C.UTF-8");
    flush_lines(environment);
    std::vector<std::string> settings;
    std::string program;
    for (const auto& [name, value] : environment) {
        settings.push_back(std::string(name).append("=").append(value));
        if (name == "PATH")
            program = find_program(command[0], value);
    }
    const std::vector<char*> arguments = pointers(command), variables = pointers(settings);
    // Out of the way of 0 to 3, where the child wants them.
    const int ends[] = {fcntl(input.ends[0], F_DUPFD_CLOEXEC, 16), fcntl(output.ends[1], F_DUPFD_CLOEXEC, 16),
                        fcntl(messages.ends[1], F_DUPFD_CLOEXEC, 16),
                        fcntl(failure.ends[1], F_DUPFD_CLOEXEC, 16)};
    int error = errno;
    const bool has_room = std::all_of(std::begin(ends), std::end(ends), [](int end) { return end >= 0; });
    const pid_t parent = getpid();
    const pid_t pid = has_room ? fork() : -1;
    if (pid == 0)
        become(program.c_str(), arguments, variables, ends[0], ends[1], ends[2], ends[3], parent);
    if (has_room)
        error = errno;
    for (const int end : ends)
        if (end >= 0)
            ::close(end);
    if (pid < 0)
        return std::string(has_room ? "fork: " : "no pipe: ") + std::strerror(error);
    pid_ = pid;
    ::close(failure.take(1));
    const ssize_t count = ::read(failure.ends[0], &error, sizeof error); // ends at exec
    input_ = input.take(1);
    output_ = output.take(0);
    messages_ = messages.take(0);
    for (const int fd : {input_, output_, messages_})
        fcntl(fd, F_SETFL, O_NONBLOCK);
    if (count == static_cast<ssize_t>(sizeof error)) {
        stop(std::chrono::milliseconds(0));
        return command[0] + ": " + std::strerror(error);
    }
    return {};
}

bool Child::wait(std::chrono::milliseconds patience, int& status) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (true) {
        // waitpid has no timeout, hence the small steps.
        const pid_t ended = waitpid(pid_, &status, WNOHANG);
        if (ended != 0)
            return true;
        if (std::chrono::steady_clock::now() >= until)
            return false;
        ::poll(nullptr, 0, 5);
    }
}

void Child::stop(std::chrono::milliseconds patience) {
    if (pid_ > 0) {
        if (input_ >= 0)
            ::close(std::exchange(input_, -1));
        int status = 0;
        bool ended = false;
        if (patience.count() > 0) {
            ::kill(-pid_, SIGTERM);
            ended = wait(patience, status);
        }
        ::kill(-pid_, SIGKILL); // its children too, even where it has ended itself
        if (!ended) {
            ::kill(pid_, SIGKILL);
            while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
            }
        }
    }
    pid_ = -1;
    close_all();
}

std::string Child::bury() {
    int status = 0;
    if (pid_ <= 0) // kill would take the -1 for everything
        return "was not running";
    if (!wait(std::chrono::milliseconds(500), status)) {
        stop(std::chrono::milliseconds(500));
        return "closed its output";
    }
    ::kill(-pid_, SIGKILL);
    pid_ = -1;
    close_all();
    if (WIFEXITED(status))
        return "ended with exit code " + std::to_string(WEXITSTATUS(status));
    const char* name = sigabbrev_np(WTERMSIG(status));
    return std::string("was ended by SIG") + (name == nullptr ? "?" : name);
}

void Child::close_messages() {
    if (messages_ >= 0)
        ::close(std::exchange(messages_, -1));
}

void Child::close_all() {
    for (int* fd : {&input_, &output_, &messages_})
        if (*fd >= 0)
            ::close(std::exchange(*fd, -1));
}

} // namespace things
