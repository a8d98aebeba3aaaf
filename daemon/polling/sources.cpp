// SPDX-License-Identifier: Apache-2.0
#include "polling/sources.hpp"

#include "polling/plugin_config.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

namespace things {

namespace asio = boost::asio;

namespace {

/// Readings that may wait for the loop, over all sources; more are dropped and counted.
constexpr std::size_t most_waiting = 1'000'000;
constexpr std::int64_t start_again_ms = 60'000;

std::string key_of(const std::string& device, const std::string& point) {
    return device + '/' + point;
}

bool is_same(const PointConfig& a, const PointConfig& b) {
    return a.name == b.name && a.unit == b.unit && a.interval == b.interval && a.report == b.report &&
           writable_flags(a) == writable_flags(b) && a.labels == b.labels && a.settings == b.settings;
}

/// Whether a source may go on as it is. Limits of writable points and the write switches are the router's
/// business: switching writes off must not cost a reading.
bool is_same(const SourceWork& a, const SourceWork& b) {
    const auto same_device = [](const SourceDevice& x, const SourceDevice& y) {
        return x.name == y.name && x.settings == y.settings;
    };
    const auto same_point = [](const SourcePoint& x, const SourcePoint& y) {
        return x.device == y.device && is_same(x.config, y.config);
    };
    return a.config.name == b.config.name && a.config.plugin == b.config.plugin &&
           a.config.isolation == b.config.isolation && a.config.settings == b.config.settings &&
           std::equal(a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(), same_device) &&
           std::equal(a.points.begin(), a.points.end(), b.points.begin(), b.points.end(), same_point);
}

/// `failure`: why its source could not be started; empty: there is no such point.
BusResult cannot_be_asked(const std::string& device, const std::string& point, const std::string& failure) {
    BusResult result;
    result.status = failure.empty() ? BusResult::Status::unsupported : BusResult::Status::failed;
    result.text = failure.empty() ? "there is no point \"" + point + "\" of device \"" + device + "\""
                                  : "its source cannot be started: " + failure;
    return result;
}

} // namespace

/// Where source threads put what they produce. Any thread, but for `drain`.
class Sources::Mailbox : public std::enable_shared_from_this<Mailbox> {
public:
    struct Item {
        const Slot* slot;
        std::vector<PointReading> readings;
        std::optional<SourceEvent> event;
        std::uint64_t lost = 0;
        bool has_ended = false;
    };

    Mailbox(asio::io_context& loop, std::function<void()> drain) : loop_(loop), drain_(std::move(drain)) {}

    void put(Item item) {
        const std::lock_guard lock(mutex_);
        if (waiting_ + item.readings.size() > most_waiting) {
            lost_ += item.readings.size();
            item.readings.clear();
        }
        waiting_ += item.readings.size();
        items_.push_back(std::move(item));
        if (std::exchange(is_posted_, true))
            return;
        asio::post(loop_, [self = shared_from_this()] { self->drain_now(); });
    }

    std::vector<Item> take(std::uint64_t& lost) {
        const std::lock_guard lock(mutex_);
        is_posted_ = false;
        waiting_ = 0;
        lost = std::exchange(lost_, 0);
        return std::exchange(items_, {});
    }

    /// The owner goes; what is still posted does nothing. Loop only.
    void close() { drain_ = nullptr; }

private:
    void drain_now() {
        if (drain_)
            drain_();
    }

    asio::io_context& loop_;
    std::function<void()> drain_;
    std::mutex mutex_;
    std::vector<Item> items_;
    std::size_t waiting_ = 0;
    std::uint64_t lost_ = 0;
    bool is_posted_ = false;
};

/// A source with its listener; the listener outlives the source.
struct Sources::Slot : public SourceListener {
    explicit Slot(std::shared_ptr<Mailbox> to) : mailbox(std::move(to)) {}
    void on_readings(std::vector<PointReading> readings) override {
        mailbox->put({this, std::move(readings), {}});
    }
    void on_event(SourceEvent event) override { mailbox->put({this, {}, std::move(event)}); }
    void on_lost(std::uint64_t count) override { mailbox->put({this, {}, {}, count}); }
    void on_end() override { mailbox->put({this, {}, {}, 0, true}); }

    std::shared_ptr<Mailbox> mailbox; // with Sources: a hanging source's thread may outlive it
    RunningSource running;
    std::shared_ptr<const PluginLibrary> library;
    std::unique_ptr<Source> source;
    bool is_held = false; ///< begins when what it replaces has ended
    std::string failure;  ///< why it could not be started; empty: it could
    std::int64_t try_again_ms = 0;
};

Sources::Sources(asio::io_context& loop, const Clock& clock, SourceOptions options, SourceHooks hooks)
    : loop_(loop), clock_(clock), options_(std::move(options)), hooks_(std::move(hooks)),
      mailbox_(std::make_shared<Mailbox>(loop, [this] {
          if (deliver())
              settle();
      })) {}

Sources::~Sources() {
    stop();
    (void)join(stop_patience);
    mailbox_->close();
}

std::vector<Sources::StartFailure> Sources::prepare(Work work, PluginDirectory& plugins) {
    std::vector<StartFailure> failures;
    std::unordered_map<std::string_view, Slot*> now;
    for (const auto& slot : slots_)
        now.emplace(slot->running.work->config.name, slot.get());
    discard();
    kept_.resize(work.sources.size());
    fresh_.resize(work.sources.size());
    // Each source that ends gives a thread back. Only what is needed beyond that must be had beforehand: a
    // reload that changes every source must not need twice the threads.
    std::size_t running = 0, wanted = 0;
    for_each_source([&running](Source&) { ++running; });
    for (const SourceWork& source : work.sources)
        wanted += source.points.empty() ? 0 : 1;
    std::size_t more = wanted > running ? wanted - running : 0;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
        const auto known = now.find(work.sources[i].config.name);
        Slot* const old = known == now.end() ? nullptr : known->second;
        const bool has_failed = old != nullptr && !old->failure.empty();
        if (old != nullptr && !has_failed && is_same(*old->running.work, work.sources[i])) {
            kept_[i] = old;
            continue;
        }
        fresh_[i] = std::make_unique<Slot>(mailbox_);
        Slot& slot = *fresh_[i];
        slot.running.work = std::make_shared<const SourceWork>(std::move(work.sources[i]));
        if (slot.running.work->points.empty())
            continue; // nothing to do; `check` warned
        slot.library = plugins.find(slot.running.work->config.plugin);
        if (!slot.library)
            slot.failure = "its plugin \"" + slot.running.work->config.plugin + "\" cannot be loaded";
        const bool with_thread = more > 0;
        if (slot.failure.empty() && make(slot, with_thread))
            more -= with_thread ? 1 : 0;
        else if (!has_failed)
            failures.push_back({slot.running.work->config.name, slot.failure});
    }
    return failures;
}

void Sources::discard() {
    kept_.clear();
    fresh_.clear();
}

bool Sources::make(Slot& slot, bool with_thread) {
    try {
        if (!slot.source)
            slot.source = make_source(slot.running.work, slot.library, clock_, slot, options_);
        if (with_thread)
            slot.source->prepare();
        slot.failure.clear();
        return true;
    } catch (const std::exception& error) {
        // Not half of it: what has no thread gives its descriptors back.
        slot.source.reset();
        slot.failure = error.what();
        return false;
    }
}

void Sources::commit(std::function<void(std::vector<std::string>)> done) {
    changed_.clear();
    std::vector<std::unique_ptr<Slot>> slots;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
        const auto at = std::find_if(slots_.begin(), slots_.end(), [kept = kept_[i]](const auto& slot) {
            return slot && slot.get() == kept;
        });
        slots.push_back(at != slots_.end() ? std::move(*at) : std::move(fresh_[i]));
        find_series(slots.back()->running);
        // Those that have a thread wait for the end of what they replace.
        if (at == slots_.end() && !slots.back()->running.work->points.empty()) {
            slots.back()->is_held = true;
            changed_.push_back(slots.back()->running.work->config.name);
        }
    }
    discard();
    for (auto& slot : slots_)
        if (slot) {
            changed_.push_back(slot->running.work->config.name);
            if (slot->source)
                slot->source->stop();
            ending_.push_back(std::move(slot));
        }
    slots_ = std::move(slots);
    addresses_.clear();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const SourceWork& now = *slots_[i]->running.work;
        for (std::uint32_t p = 0; p < now.points.size(); ++p)
            addresses_[key_of(now.devices[now.points[p].device].name, now.points[p].config.name)] = {i, p};
    }
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    done_ = std::move(done);
    ending_until_ms_ = clock_.boot_ms() + stop_patience.count();
    settle();
}

void Sources::settle() {
    const auto has_ended = [](const auto& slot) {
        return !slot->source || slot->source->has_ended();
    };
    if (!done_ || is_stopping_ ||
        (clock_.boot_ms() < ending_until_ms_ && !std::all_of(ending_.begin(), ending_.end(), has_ended)))
        return;
    for (const auto& slot : ending_)
        if (slot->source)
            (void)slot->source->join(Milliseconds(0)); // one that hangs is left behind, and says so
    // What the stopped ones delivered last is still theirs: before their slots go.
    (void)deliver();
    ending_.clear();
    std::exchange(done_, nullptr)(std::exchange(changed_, {}));
    for (const auto& slot : slots_)
        if (std::exchange(slot->is_held, false))
            begin(*slot);
}

void Sources::begin(Slot& slot) {
    if (slot.library && make(slot, true))
        slot.source->start();
    else
        fail(slot, slot.failure);
}

void Sources::fail(Slot& slot, const std::string& reason) {
    slot.try_again_ms = clock_.boot_ms() + start_again_ms;
    hooks_.on_event(slot.running,
                    {SourceEvent::Kind::problem, Level::source, 0, "start",
                     "it cannot be started: " + reason + "; the others run, it is tried again each minute",
                     1});
}

/// Also for a source that goes on as it is: its devices may have another identity at the platform now.
void Sources::find_series(RunningSource& running) const {
    running.series.clear();
    for (const SourcePoint& point : running.work->points)
        running.series.push_back(hooks_.series_of(running.work->devices[point.device].name, point.config));
}

Source* Sources::find(std::string_view name) const {
    for (const auto& slot : slots_)
        if (slot->running.work->config.name == name)
            return slot->source.get();
    return nullptr;
}

Sources::Slot* Sources::find_slot(const std::string& device, const std::string& point,
                                  std::uint32_t& index) const {
    const auto at = addresses_.find(key_of(device, point));
    if (at == addresses_.end())
        return nullptr;
    index = at->second.point;
    return slots_[at->second.source].get();
}

std::optional<SeriesId> Sources::series(const std::string& device, const std::string& point) const {
    std::uint32_t index = 0;
    const Slot* slot = find_slot(device, point, index);
    return slot ? std::optional(slot->running.series[index]) : std::nullopt;
}

std::vector<SeriesId> Sources::all_series() const {
    std::vector<SeriesId> all;
    for (const auto& slot : slots_)
        all.insert(all.end(), slot->running.series.begin(), slot->running.series.end());
    return all;
}

const PointConfig* Sources::find_point(const std::string& device, const std::string& point) const {
    std::uint32_t index = 0;
    const Slot* slot = find_slot(device, point, index);
    return slot ? &slot->running.work->points[index].config : nullptr;
}

void Sources::write(const std::string& device, const std::string& point, Value value,
                    std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler) {
    std::uint32_t index = 0;
    Slot* slot = find_slot(device, point, index);
    if (!slot || !slot->source)
        return handler(cannot_be_asked(device, point, slot ? slot->failure : std::string()));
    auto again = [this, device, point, value, not_after_boot_ms](std::function<void(BusResult)> to) {
        write(device, point, value, not_after_boot_ms, std::move(to));
    };
    slot->source->write(index, std::move(value), not_after_boot_ms,
                        on_loop(std::move(handler), std::move(again)));
}

void Sources::read(const std::string& device, const std::string& point,
                   std::function<void(BusResult)> handler) {
    std::uint32_t index = 0;
    Slot* slot = find_slot(device, point, index);
    if (!slot || !slot->source)
        return handler(cannot_be_asked(device, point, slot ? slot->failure : std::string()));
    auto again = [this, device, point](std::function<void(BusResult)> to) {
        read(device, point, std::move(to));
    };
    slot->source->read(index, on_loop(std::move(handler), std::move(again)));
}

/// A handler for a source's thread. A request that its source had not begun when a reload ended it goes to
/// the source that took its place.
std::function<void(BusResult)> Sources::on_loop(std::function<void(BusResult)> handler, AskAgain again) {
    return [this, handler = std::move(handler), again = std::move(again)](BusResult result) {
        asio::post(loop_, [this, handler, again, result = std::move(result)]() mutable {
            if (result.status == BusResult::Status::stopped && !is_stopping_)
                again(std::move(handler));
            else
                handler(std::move(result));
        });
    };
}

std::vector<Sources::View> Sources::view() const {
    std::vector<View> all;
    for (const auto& slot : slots_) {
        SourceStatus idle;
        idle.state = "no point uses it";
        if (!slot->failure.empty()) {
            idle.state = "cannot be started: " + slot->failure;
            idle.healthy = false;
        }
        all.push_back({&slot->running, slot->source ? slot->source->status() : idle});
    }
    return all;
}

template <typename Act>
void Sources::for_each_source(const Act& act) const {
    for (const auto* slots : {&slots_, &ending_})
        for (const auto& slot : *slots)
            if (slot->source)
                act(*slot->source);
}

void Sources::check() {
    for_each_source([](Source& source) { source.check(); });
    settle();
    const std::int64_t now = clock_.boot_ms();
    for (const auto& slot : slots_) {
        if (slot->failure.empty() || slot->is_held || is_stopping_ || now < slot->try_again_ms)
            continue;
        slot->try_again_ms = now + start_again_ms;
        // What one lacks the next one lacks, too: one attempt is enough.
        if (!slot->library)
            continue;
        if (!make(*slot, true))
            break;
        slot->source->start();
        hooks_.on_event(slot->running, {SourceEvent::Kind::recovered, Level::source, 0, "start",
                                        "it could be started now", 1});
    }
}

void Sources::stop() {
    is_stopping_ = true;
    for_each_source([](Source& source) { source.stop(); });
}

bool Sources::have_ended() const {
    bool all = true;
    for_each_source([&all](const Source& source) { all = all && source.has_ended(); });
    return all;
}

bool Sources::join(Milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    bool all = true;
    for_each_source([&all, end](Source& source) {
        const auto left = std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now());
        all = source.join(std::max(left, Milliseconds(0))) && all;
    });
    return all;
}

void Sources::drain() {
    (void)deliver();
}

bool Sources::deliver() {
    std::uint64_t lost = 0;
    bool has_ended = false;
    for (Mailbox::Item& item : mailbox_->take(lost)) {
        if (!item.readings.empty())
            hooks_.on_readings(item.slot->running, item.readings);
        if (item.event)
            hooks_.on_event(item.slot->running, *item.event);
        lost += item.lost;
        has_ended = has_ended || item.has_ended;
    }
    if (lost > 0)
        hooks_.on_flood(lost);
    return has_ended;
}

} // namespace things
