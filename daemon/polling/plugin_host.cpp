// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_host.hpp"

#include "polling/host_limits.hpp"
#include "polling/host_protocol.hpp"
#include "polling/local_driver.hpp"
#include "polling/plugin_library.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

constexpr int usage = 64;

/// The socket to the gateway. Whatever goes wrong with it means that nobody is left to serve: the process
/// ends.
class Wire final : public DriverSink {
public:
    Wire(int socket, int wake_fd) : socket_(socket), wake_fd_(wake_fd) {}

    /// The next request; nothing once the gateway is gone.
    std::optional<HostFrame> receive();
    void send(FrameType type, std::string payload);

    void on_readings(std::vector<RawReading> readings) override {
        if (!readings.empty())
            send(FrameType::readings, encode(readings));
    }
    void on_garbage(std::uint64_t count, const std::string& why) override {
        send(FrameType::garbage, encode(GarbageFrame{count, why}));
    }
    void on_event(SourceEvent event) override { send(FrameType::event, encode(event)); }
    void on_problem(SettingProblem problem) override { send(FrameType::problem, encode(problem)); }
    void on_found(std::string json) override { send(FrameType::found, std::move(json)); }
    void on_progress(double part) override { send(FrameType::progress, encode_number(part)); }
    [[nodiscard]] bool is_interrupted() const override {
        pollfd ready{wake_fd_, POLLIN, 0};
        return ::poll(&ready, 1, 0) > 0;
    }
    void on_patience(Milliseconds time) override { send(FrameType::patience, encode_time(time.count())); }
    [[nodiscard]] bool is_clock_trusted() const override { return is_clock_trusted_; }
    void set_clock_trusted(bool trusted) { is_clock_trusted_ = trusted; }
    [[nodiscard]] bool is_stopping() const override { return false; }
    [[nodiscard]] int wake_fd() const override { return wake_fd_; }

private:
    int socket_, wake_fd_;
    HostFrameReader reader_{longest_request};
    std::atomic<bool> is_clock_trusted_{false}; ///< threads of the plugin may ask, too
};

std::optional<HostFrame> Wire::receive() {
    while (true) {
        if (auto frame = reader_.next())
            return frame;
        std::array<char, 65536> buffer; // NOLINT: filled by recv
        const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0 || reader_.is_broken())
            return std::nullopt;
        reader_.feed({buffer.data(), static_cast<std::size_t>(count)});
    }
}

void Wire::send(FrameType type, std::string payload) {
    const std::string bytes = encode(HostFrame{type, std::move(payload)});
    for (std::size_t sent = 0; sent < bytes.size();) {
        const ssize_t count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            _exit(0); // not exit(): the plugin's code must not run on
        sent += static_cast<std::size_t>(count);
    }
}

/// Carries out requests until the gateway has enough.
class Host {
public:
    Host(Wire& wire, std::shared_ptr<const PluginLibrary> library, const Confinement& confinement)
        : wire_(wire), library_(std::move(library)), confinement_(confinement) {}

    void serve(const HostFrame& frame);

private:
    CallResult carry_out(const HostFrame& frame);
    void tell_confinement();

    Wire& wire_;
    std::shared_ptr<const PluginLibrary> library_;
    Confinement confinement_;
    SourceWork work_;
    std::unique_ptr<Driver> driver_;
};

void Host::serve(const HostFrame& frame) {
    if (frame.type == FrameType::clock) {
        std::int64_t trusted = 0;
        if (decode(frame.payload, trusted))
            wire_.set_clock_trusted(trusted != 0);
        return;
    }
    CallResult result = carry_out(frame);
    // What a plugin throws may be any text.
    if (result.text.size() > 4000)
        result.text.resize(4000);
    wire_.send(FrameType::result, encode(result));
}

/// A wall that is missing must not go unnoticed.
void Host::tell_confinement() {
    const auto tell = [this](const char* code, const char* text) {
        wire_.on_event({SourceEvent::Kind::note, Level::source, 0, code, text, 1});
    };
    if (!confinement_.files)
        tell("files",
             "the plugin's process can read every file that the gateway can, secrets and queue among "
             "them, and use every port: this kernel has no Landlock, or the service's SystemCallFilter "
             "forbids it");
    if (!confinement_.calls)
        tell("calls",
             "the plugin's process can connect to the gateway's control socket and change its limits: "
             "this kernel has no filter for system calls (seccomp)");
}

CallResult Host::carry_out(const HostFrame& frame) {
    CallResult nonsense = {CallResult::Status::invalid, "the host process did not understand", {}};
    if (frame.type == FrameType::create) {
        driver_.reset();
        work_ = SourceWork();
        if (!decode(frame.payload, work_))
            return nonsense;
        tell_confinement();
        driver_ = make_local_driver(work_, library_, wire_);
        return driver_->create();
    }
    if (!driver_)
        return nonsense;
    PollFrame poll;
    WriteFrame write;
    DiscoverFrame discover;
    std::int64_t deadline = 0;
    switch (frame.type) {
    case FrameType::poll:
        return decode(frame.payload, poll) ? driver_->poll(poll.points, poll.deadline_ms) : nonsense;
    case FrameType::listen:
        return decode(frame.payload, deadline) ? driver_->listen(deadline) : nonsense;
    case FrameType::write:
        return decode(frame.payload, write) ? driver_->write(write.point, write.value, write.deadline_ms)
                                            : nonsense;
    case FrameType::discover:
        return decode(frame.payload, discover) ? driver_->discover(discover.options, discover.deadline_ms)
                                               : nonsense;
    case FrameType::plan:
        return driver_->plan();
    case FrameType::destroy:
        driver_->destroy();
        return {};
    default:
        return nonsense;
    }
}

struct Arguments {
    HostLimits limits;
    bool harmless = false;
};

template <typename Number>
bool parse(const char* text, Number& number) {
    const char* end = text + std::strlen(text);
    const auto result = std::from_chars(text, end, number);
    return result.ec == std::errc() && result.ptr == end;
}

bool parse(int argc, char** argv, Arguments& out) {
    HostLimits& limits = out.limits;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const char* value = argv[i + 1];
        int flag = 0;
        if (name == "--plugin")
            limits.plugin = value;
        else if (name == "--named")
            limits.named.emplace_back(value);
        else if (name == "--folder")
            limits.folders.emplace_back(value);
        else if (name == "--programs" && parse(value, flag))
            limits.runs_programs = flag != 0;
        else if (name == "--harmless" && parse(value, flag))
            out.harmless = flag != 0;
        else if (!(name == "--fd" && parse(value, limits.socket)) &&
                 !(name == "--wake" && parse(value, limits.wake)) &&
                 !(name == "--memory" && parse(value, limits.memory)) &&
                 !(name == "--parent" && parse(value, limits.parent)))
            return false;
    }
    return argc % 2 == 1 && limits.socket >= 0 && limits.wake >= 0 && !limits.plugin.empty();
}

} // namespace

int run_plugin_host(int argc, char** argv, HostLimits base) {
    Arguments arguments;
    arguments.limits = std::move(base);
    if (!parse(argc, argv, arguments))
        return usage;
    HostLimits& limits = arguments.limits;
    if (arguments.harmless)
        limits.user = harmless_user();
    HelloFrame hello;
    const auto attempt = [&hello](const auto& step) {
        try {
            if (hello.error.empty())
                step();
        } catch (const std::exception& error) {
            hello.error = error.what();
        }
    };
    attempt([&limits] { PluginLibrary::check(limits.plugin); }); // while it may still look
    const auto confinement = limit_host(limits);
    if (!confinement)
        return 0; // the gateway is gone already
    // Programs and sockets of a plugin end; the plugin is to see EPIPE.
    (void)std::signal(SIGPIPE, SIG_IGN);
    Wire wire(limits.socket, limits.wake);
    std::shared_ptr<const PluginLibrary> library;
    attempt([&] {
        library = PluginLibrary::load_checked(limits.plugin, false, confinement->plugin);
        hello.description = library->description();
    });
    wire.send(FrameType::hello, encode(hello));
    if (!library)
        return 1;
    Host host(wire, library, *confinement);
    // Until the gateway ends it: that one also finds what the plugin has started.
    while (auto frame = wire.receive())
        host.serve(*frame);
    // Not exit(): destructors of a foreign library have hung before.
    _exit(0);
}

} // namespace things
