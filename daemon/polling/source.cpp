// SPDX-License-Identifier: Apache-2.0
#include "polling/source.hpp"

#include "config/isolation.hpp"
#include "polling/keeping_sink.hpp"
#include "polling/local_driver.hpp"
#include "polling/plugin_library.hpp"
#include "polling/remote_driver.hpp"
#include "polling/source_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <system_error>

#include <pthread.h>

namespace things {

namespace {

// A thousand sources must fit: what a plugin needs more than this belongs on the heap. Sanitizers need more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t stack_size = std::size_t{2} * 1024 * 1024;
#else
constexpr std::size_t stack_size = std::size_t{256} * 1024;
#endif

/// What the thread and its owner share: shared_ptr held by both, because a thread that hangs is left behind.
struct Shared {
    template <typename... Args>
    explicit Shared(Args&&... args) : thread(std::forward<Args>(args)...) {}
    SourceThread thread;
    std::mutex mutex;
    std::condition_variable changed;
    bool may_begin = false, has_ended = false;
};

void* thread_main(void* argument) {
    const std::unique_ptr<std::shared_ptr<Shared>> shared(static_cast<std::shared_ptr<Shared>*>(argument));
    {
        std::unique_lock lock((*shared)->mutex);
        (*shared)->changed.wait(lock, [&] { return (*shared)->may_begin; });
    }
    (*shared)->thread.run();
    {
        const std::lock_guard lock((*shared)->mutex);
        (*shared)->has_ended = true;
        (*shared)->changed.notify_all();
    }
    // After that: who hears of the end may join at once.
    (*shared)->thread.tell_end();
    return nullptr;
}

/// With `isolation: none` a plugin runs here that so far was only asked.
std::shared_ptr<const PluginLibrary> loaded(const std::shared_ptr<const PluginLibrary>& library) {
    return library->is_loaded() ? library : PluginLibrary::load(library->file(), false);
}

std::unique_ptr<Driver> make_driver_for(const SourceWork& work,
                                        const std::shared_ptr<const PluginLibrary>& library,
                                        const SourceOptions& options, DriverSink& sink) {
    if (is_isolated(work.config, library->description()))
        return make_remote_driver(work, library->file(),
                                  library->description().shipped && library->description().runs_programs,
                                  options, sink);
    return make_local_driver(work, loaded(library), sink);
}

class ThreadedSource final : public Source {
public:
    ThreadedSource(std::string name, std::shared_ptr<Shared> shared)
        : name_(std::move(name)), shared_(std::move(shared)) {}
    ThreadedSource(const ThreadedSource&) = delete;
    ThreadedSource& operator=(const ThreadedSource&) = delete;
    ~ThreadedSource() override {
        stop();
        (void)join(seconds(5));
    }

    void prepare() override;
    void start() override;
    void write(std::uint32_t point, Value value, std::int64_t not_after_boot_ms,
               std::function<void(BusResult)> handler) override {
        post(WriteRequest{point, std::move(value), std::move(handler), not_after_boot_ms});
    }
    void read(std::uint32_t point, std::function<void(BusResult)> handler) override {
        post(ReadRequest{point, std::move(handler)});
    }
    void discover(std::vector<Setting> options, std::function<void(std::string)> on_found,
                  std::function<void(double)> on_progress,
                  std::function<void(std::string)> on_done) override {
        post(DiscoverRequest{std::move(options), std::move(on_found), std::move(on_progress),
                             std::move(on_done)});
    }
    void stop() override {
        shared_->thread.inbox().close();
        open_gate(); // one that never began ends, too
    }
    [[nodiscard]] bool has_ended() const override;
    bool join(Milliseconds deadline) override;
    void check() override { shared_->thread.check(); }
    [[nodiscard]] SourceStatus status() const override { return shared_->thread.status(); }

private:
    void post(Request request);
    void open_gate();

    std::string name_;
    std::shared_ptr<Shared> shared_;
    pthread_t handle_{};
    bool running_ = false;
};

void ThreadedSource::start() {
    prepare();
    open_gate();
}

void ThreadedSource::open_gate() {
    const std::lock_guard lock(shared_->mutex);
    shared_->may_begin = true;
    shared_->changed.notify_all();
}

void ThreadedSource::prepare() {
    if (running_)
        return;
    auto argument = std::make_unique<std::shared_ptr<Shared>>(shared_);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    const int error = pthread_create(&handle_, &attributes, thread_main, argument.get());
    pthread_attr_destroy(&attributes);
    if (error != 0)
        throw std::system_error(error, std::generic_category(), "cannot start a thread for source " + name_);
    (void)argument.release(); // the thread's now
    running_ = true;
    // The kernel takes 15 characters.
    pthread_setname_np(handle_, ("src:" + name_).substr(0, 15).c_str());
}

void ThreadedSource::post(Request request) {
    Inbox& inbox = shared_->thread.inbox();
    if (inbox.post(request))
        return;
    if (shared_->thread.is_broken())
        Outlet::dismiss(std::move(request), BusResult::Status::failed, SourceThread::broken_text);
    else if (inbox.is_closed())
        Outlet::dismiss(std::move(request), BusResult::Status::stopped, "the source has stopped");
    else
        Outlet::dismiss(std::move(request), BusResult::Status::refused, "too much waits for it already");
}

bool ThreadedSource::has_ended() const {
    const std::lock_guard lock(shared_->mutex);
    return !running_ || shared_->has_ended;
}

bool ThreadedSource::join(Milliseconds deadline) {
    if (!running_)
        return true;
    bool ended = false;
    {
        std::unique_lock lock(shared_->mutex);
        ended = shared_->changed.wait_for(lock, deadline, [this] { return shared_->has_ended; });
    }
    running_ = false;
    if (ended) {
        pthread_join(handle_, nullptr);
        return true;
    }
    // The thread keeps its half of what is shared, and touches nothing else when it comes back.
    shared_->thread.abandon();
    pthread_detach(handle_);
    return false;
}

} // namespace

std::unique_ptr<Source> make_source(SourceWork work, std::shared_ptr<const PluginLibrary> library,
                                    const Clock& clock, SourceListener& listener,
                                    const SourceOptions& options) {
    return make_source(std::make_shared<const SourceWork>(std::move(work)), std::move(library), clock,
                       listener, options);
}

std::unique_ptr<Source> make_source(std::shared_ptr<const SourceWork> work,
                                    std::shared_ptr<const PluginLibrary> library, const Clock& clock,
                                    SourceListener& listener, const SourceOptions& options) {
    const std::string name = work->config.name;
    if (!library->is_loaded() &&
        !is_isolated(work->config, library->description())) // `isolation: none` for one that was only asked
        library = PluginLibrary::load(library->file(), false);
    const PluginDescription& plugin = library->description();
    const bool listens = plugin.listens, polls = plugin.polls;
    const SourceThread::MakeDriver make_driver = [library, options](const SourceWork& own, DriverSink& sink) {
        return make_driver_for(own, library, options, sink);
    };
    return std::make_unique<ThreadedSource>(
        name,
        std::make_shared<Shared>(std::move(work), listens, polls, make_driver, clock, listener, options));
}

Validation validate(const SourceWork& work, const PluginLibrary& library, const SourceOptions& options) {
    KeepingSink sink;
    const std::unique_ptr<Driver> driver = make_driver_for(work, library.shared_from_this(), options, sink);
    const CallResult created = driver->create();
    Validation validation;
    if (created.status == CallResult::Status::ok) {
        (void)driver->plan();
        driver->destroy();
    } else if (created.status == CallResult::Status::dead) {
        validation.failure = created.text;
    } else if (sink.problems.empty()) {
        std::string text = created.text;
        for (const SourceEvent& event : sink.events)
            if (event.kind == SourceEvent::Kind::problem)
                text = event.text;
        sink.problems.push_back(
            {Level::source, 0, "", text.empty() ? "the plugin refuses this source without a reason" : text});
    }
    for (SettingProblem& problem : sink.problems) {
        const std::size_t most = problem.level == Level::device  ? work.devices.size()
                                 : problem.level == Level::point ? work.points.size()
                                                                 : 1;
        if (problem.index >= most) // it cannot be shown at its place, but it must be shown
            problem = {Level::source, 0, problem.key, problem.message};
    }
    validation.problems = std::move(sink.problems);
    validation.plan = std::move(sink.found);
    return validation;
}

} // namespace things
