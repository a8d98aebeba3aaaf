// SPDX-License-Identifier: Apache-2.0
#include "polling/local_driver.hpp"

#include "polling/plugin_config.hpp"
#include "polling/plugin_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <exception>
#include <thread>

namespace things {

std::int64_t steady_ms() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

namespace {

constexpr std::uint32_t chunk = 512; ///< readings handed on at once; a flood is met in pieces
constexpr std::uint32_t shortest_reading = offsetof(things_reading, time_ms);
constexpr std::uint32_t shortest_event = offsetof(things_event, text);
constexpr std::uint32_t longest_struct = 4096;
constexpr std::size_t longest_text = 2000;
constexpr std::size_t longest_json = 64UL * 1024;

CallResult::Status status_of(int status) {
    switch (status) {
    case THINGS_OK:
        return CallResult::Status::ok;
    case THINGS_INTERRUPTED:
        return CallResult::Status::interrupted;
    case THINGS_REFUSED:
        return CallResult::Status::refused;
    case THINGS_TIMEOUT:
        return CallResult::Status::timeout;
    case THINGS_INVALID:
        return CallResult::Status::invalid;
    case THINGS_UNSUPPORTED:
        return CallResult::Status::unsupported;
    default:
        return CallResult::Status::failed;
    }
}

class LocalDriver final : public Driver {
public:
    LocalDriver(const SourceWork& work, std::shared_ptr<const PluginLibrary> library, DriverSink& sink)
        : library_(std::move(library)), work_(work), sink_(sink) {}
    ~LocalDriver() override { destroy(); }

    CallResult create() override;
    void destroy() override;
    CallResult poll(const std::vector<std::uint32_t>& points, std::int64_t deadline_ms) override;
    CallResult listen(std::int64_t deadline_ms) override;
    CallResult write(std::uint32_t point, const Value& value, std::int64_t deadline_ms) override;
    CallResult discover(const std::vector<Setting>& options, std::int64_t deadline_ms) override;
    CallResult plan() override;

private:
    template <typename Function>
    CallResult call(const Function& function);
    [[nodiscard]] bool is_ours() const { return std::this_thread::get_id() == thread_; }
    void take(const things_reading* readings, std::uint32_t count);
    void take(const things_event& event);

    static void on_emit(void* context, const things_reading* readings, std::uint32_t count) noexcept;
    static void on_report(void* context, const things_event* event) noexcept;
    static void on_problem(void* context, std::uint32_t level, std::uint32_t index, const char* key,
                           const char* message) noexcept;
    static int on_interrupted(void* context) noexcept;
    static void on_found(void* context, const char* json) noexcept;
    static void on_progress(void* context, double part) noexcept;
    static int on_clock_trusted(void* context) noexcept;
    static void on_patience(void* context, std::int64_t time_ms) noexcept;

    std::shared_ptr<const PluginLibrary> library_; // first: outlives the source made from it
    const SourceWork& work_;
    DriverSink& sink_;
    things_host host_{};
    things_source* source_ = nullptr;
    std::thread::id thread_;
};

/// Nothing that a plugin throws gets past this.
template <typename Function>
CallResult LocalDriver::call(const Function& function) {
    CallResult result;
    thread_ = std::this_thread::get_id();
    try {
        result.status = status_of(function());
    } catch (const std::exception& error) {
        result.status = CallResult::Status::failed;
        result.text =
            fmt::format("the plugin threw an exception: {}", clean_text(error.what(), longest_text));
    } catch (...) {
        result.status = CallResult::Status::failed;
        result.text = "the plugin threw an exception of unknown type";
    }
    return result;
}

CallResult LocalDriver::create() {
    destroy();
    host_.size = sizeof host_;
    host_.abi_minor = THINGS_ABI_MINOR;
    host_.context = this;
    host_.emit = on_emit;
    host_.report = on_report;
    host_.problem = on_problem;
    host_.interrupted = on_interrupted;
    host_.found = on_found;
    host_.progress = on_progress;
    host_.wake_fd = sink_.wake_fd();
    host_.clock_trusted = on_clock_trusted;
    host_.patience = on_patience;
    const PluginConfig config(work_);
    CallResult result =
        call([this, &config] { return library_->table().create(&host_, &config.get(), &source_); });
    if (result.status == CallResult::Status::ok && source_ == nullptr) {
        result.status = CallResult::Status::failed;
        result.text = "the plugin says that it made a source, but returned none";
    }
    // What is not destroyed is never touched again: create that fails has nothing to hand over.
    if (result.status != CallResult::Status::ok)
        source_ = nullptr;
    return result;
}

void LocalDriver::destroy() {
    if (source_ == nullptr)
        return;
    (void)call([this] {
        library_->table().destroy(source_);
        return THINGS_OK;
    });
    source_ = nullptr;
}

CallResult LocalDriver::poll(const std::vector<std::uint32_t>& points, std::int64_t deadline_ms) {
    if (library_->table().poll == nullptr)
        return {CallResult::Status::unsupported, "the plugin cannot be polled", {}};
    return call([this, &points, deadline_ms] {
        return library_->table().poll(source_, points.data(), static_cast<std::uint32_t>(points.size()),
                                      deadline_ms);
    });
}

CallResult LocalDriver::listen(std::int64_t deadline_ms) {
    if (library_->table().listen == nullptr)
        return {CallResult::Status::unsupported, "the plugin does not listen", {}};
    return call([this, deadline_ms] { return library_->table().listen(source_, deadline_ms); });
}

CallResult LocalDriver::write(std::uint32_t point, const Value& value, std::int64_t deadline_ms) {
    if (library_->table().write == nullptr)
        return {CallResult::Status::unsupported, "the plugin cannot write", {}};
    const things_value wanted = to_plugin(value);
    things_value written = wanted;
    CallResult result = call([this, point, &wanted, &written, deadline_ms] {
        return library_->table().write(source_, point, &wanted, &written, deadline_ms);
    });
    if (result.status != CallResult::Status::ok)
        return result;
    std::string why;
    result.written = from_plugin(written, why);
    // It was written: that the plugin cannot say what does not make it undone.
    if (!result.written) {
        result.text = fmt::format("the plugin says that it wrote {}", why);
        result.written = value;
    }
    return result;
}

CallResult LocalDriver::discover(const std::vector<Setting>& options, std::int64_t deadline_ms) {
    if (library_->table().discover == nullptr)
        return {CallResult::Status::unsupported, "the plugin cannot look for devices", {}};
    const SettingList settings(options);
    return call([this, &settings, deadline_ms] {
        return library_->table().discover(source_, settings.get(), settings.size(), deadline_ms);
    });
}

CallResult LocalDriver::plan() {
    if (library_->table().plan == nullptr)
        return {CallResult::Status::unsupported, {}, {}};
    return call([this] { return library_->table().plan(source_); });
}

void LocalDriver::take(const things_reading* readings, std::uint32_t count) {
    if (readings == nullptr || count == 0)
        return;
    // The plugin may know more or fewer fields: its own size says where the next one begins.
    const std::uint32_t stride = readings->size;
    if (stride < shortest_reading || stride > longest_struct || stride % alignof(things_reading) != 0) {
        sink_.on_garbage(count,
                         fmt::format("readings of {} bytes, which no version of the contract has", stride));
        return;
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(readings); // NOLINT: strided by the plugin's size
    for (std::uint32_t first = 0; first < count; first += chunk) {
        std::vector<RawReading> batch;
        const std::uint32_t end = first + std::min(chunk, count - first);
        batch.reserve(end - first);
        for (std::uint32_t i = first; i < end; ++i) {
            things_reading reading{};
            std::memcpy(&reading, bytes + std::size_t{i} * stride,
                        std::min<std::size_t>(stride, sizeof reading));
            std::string why;
            auto value = from_plugin(reading.value, why);
            if (!value) {
                sink_.on_garbage(1, fmt::format("{} for point {}", why, reading.point));
                continue;
            }
            RawReading raw;
            raw.point = reading.point;
            raw.value = std::move(*value);
            if ((reading.flags & THINGS_OWN_TIME) != 0)
                raw.own_time_ms = reading.time_ms;
            raw.unchanged = (reading.flags & THINGS_UNCHANGED) != 0;
            raw.duration_us = reading.duration_us;
            raw.raw = clean_text(reading.raw, longest_text);
            batch.push_back(std::move(raw));
        }
        sink_.on_readings(std::move(batch));
    }
}

void LocalDriver::take(const things_event& foreign) {
    if (foreign.size < shortest_event || foreign.size > longest_struct)
        return;
    things_event event{};
    std::memcpy(&event, &foreign, std::min<std::size_t>(foreign.size, sizeof event));
    if (event.kind < THINGS_PROBLEM || event.kind > THINGS_REASON || event.level > THINGS_POINT)
        return;
    SourceEvent result;
    result.kind = event.kind == THINGS_PROBLEM     ? SourceEvent::Kind::problem
                  : event.kind == THINGS_RECOVERED ? SourceEvent::Kind::recovered
                  : event.kind == THINGS_NOTE      ? SourceEvent::Kind::note
                                                   : SourceEvent::Kind::reason;
    result.level = static_cast<Level>(event.level);
    result.index = event.index;
    result.code = clean_text(event.code, 100);
    result.text = clean_text(event.text, longest_text);
    sink_.on_event(std::move(result));
}

void LocalDriver::on_emit(void* context, const things_reading* readings, std::uint32_t count) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self != nullptr && self->is_ours())
        self->take(readings, count);
}

void LocalDriver::on_report(void* context, const things_event* event) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self != nullptr && event != nullptr && self->is_ours())
        self->take(*event);
}

void LocalDriver::on_problem(void* context, std::uint32_t level, std::uint32_t index, const char* key,
                             const char* message) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self == nullptr || level > THINGS_POINT || !self->is_ours())
        return;
    self->sink_.on_problem(
        {static_cast<Level>(level), index, clean_text(key, 100), clean_text(message, longest_text)});
}

int LocalDriver::on_interrupted(void* context) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    // The one call that any thread of the plugin may make: it reads an atomic flag.
    return self != nullptr && self->sink_.is_interrupted() ? 1 : 0;
}

void LocalDriver::on_found(void* context, const char* json) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self != nullptr && json != nullptr && self->is_ours())
        self->sink_.on_found(clean_text(json, longest_json));
}

void LocalDriver::on_progress(void* context, double part) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self != nullptr && part >= 0 && part <= 1 && self->is_ours())
        self->sink_.on_progress(part);
}

int LocalDriver::on_clock_trusted(void* context) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    return self != nullptr && self->sink_.is_clock_trusted() ? 1 : 0;
}

void LocalDriver::on_patience(void* context, std::int64_t time_ms) noexcept {
    auto* self = static_cast<LocalDriver*>(context);
    if (self != nullptr && time_ms > 0 && self->is_ours())
        self->sink_.on_patience(std::min(Milliseconds(time_ms), longest_patience));
}

} // namespace

std::unique_ptr<Driver> make_local_driver(const SourceWork& work,
                                          std::shared_ptr<const PluginLibrary> library, DriverSink& sink) {
    return std::make_unique<LocalDriver>(work, std::move(library), sink);
}

} // namespace things
