// SPDX-License-Identifier: Apache-2.0
#include "polling/sources.hpp"

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
constexpr Milliseconds stop_patience{1000};

std::string key_of(const std::string& device, const std::string& point) {
    return device + '/' + point;
}

bool is_same(const PointConfig& a, const PointConfig& b) {
    return a.name == b.name && a.unit == b.unit && a.interval == b.interval && a.report == b.report &&
           a.writable.has_value() == b.writable.has_value() && a.labels == b.labels &&
           a.settings == b.settings;
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

BusResult no_such_point(const std::string& device, const std::string& point) {
    BusResult result;
    result.status = BusResult::Status::unsupported;
    result.text = "there is no point \"" + point + "\" of device \"" + device + "\"";
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

    std::shared_ptr<Mailbox> mailbox; // with Sources: a hanging source's thread may outlive it
    RunningSource running;
    std::unique_ptr<Source> source;
};

Sources::Sources(asio::io_context& loop, const Clock& clock, SourceOptions options, SourceHooks hooks)
    : loop_(loop), clock_(clock), options_(std::move(options)), hooks_(std::move(hooks)),
      mailbox_(std::make_shared<Mailbox>(loop, [this] { drain(); })) {}

Sources::~Sources() {
    stop();
    (void)join(stop_patience);
    mailbox_->close();
}

std::vector<std::string> Sources::apply(Work work, PluginDirectory& plugins) {
    std::vector<std::string> changed;
    std::vector<std::unique_ptr<Slot>> next(work.sources.size());
    for (std::size_t i = 0; i < work.sources.size(); ++i)
        for (auto& slot : slots_)
            if (slot && is_same(*slot->running.work, work.sources[i]))
                next[i] = std::move(slot);
    std::erase(slots_, nullptr);
    stop_slots();
    (void)join(stop_patience);
    // What the stopped ones delivered last is still theirs: before their slots go.
    drain();
    for (const auto& slot : slots_)
        changed.push_back(slot->running.work->config.name);
    slots_ = std::move(next);
    addresses_.clear();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i]) {
            find_series(slots_[i]->running);
        } else {
            slots_[i] = std::make_unique<Slot>(mailbox_);
            Slot& slot = *slots_[i];
            slot.running.work = std::make_shared<const SourceWork>(std::move(work.sources[i]));
            find_series(slot.running);
            if (slot.running.work->points.empty())
                continue; // nothing to do; `check` warned
            slot.source = make_source(slot.running.work, plugins.find(slot.running.work->config.plugin),
                                      clock_, slot, options_);
            slot.source->start();
            changed.push_back(slot.running.work->config.name);
        }
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const SourceWork& now = *slots_[i]->running.work;
        for (std::uint32_t p = 0; p < now.points.size(); ++p)
            addresses_[key_of(now.devices[now.points[p].device].name, now.points[p].config.name)] = {i, p};
    }
    std::sort(changed.begin(), changed.end());
    changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
    return changed;
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
        return handler(no_such_point(device, point));
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
        return handler(no_such_point(device, point));
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
        all.push_back({&slot->running, slot->source ? slot->source->status() : idle});
    }
    return all;
}

void Sources::check() {
    for (const auto& slot : slots_)
        if (slot->source)
            slot->source->check();
}

void Sources::stop() {
    is_stopping_ = true;
    stop_slots();
}

void Sources::stop_slots() {
    for (const auto& slot : slots_)
        if (slot->source)
            slot->source->stop();
}

bool Sources::have_ended() const {
    return std::all_of(slots_.begin(), slots_.end(),
                       [](const auto& slot) { return !slot->source || slot->source->has_ended(); });
}

bool Sources::join(Milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    bool all = true;
    for (const auto& slot : slots_) {
        const auto left = std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now());
        if (slot->source)
            all = slot->source->join(std::max(left, Milliseconds(0))) && all;
    }
    return all;
}

void Sources::drain() {
    std::uint64_t lost = 0;
    for (Mailbox::Item& item : mailbox_->take(lost)) {
        if (!item.readings.empty())
            hooks_.on_readings(item.slot->running, item.readings);
        if (item.event)
            hooks_.on_event(item.slot->running, *item.event);
    }
    if (lost > 0)
        hooks_.on_flood(lost);
}

} // namespace things
