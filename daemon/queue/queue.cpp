// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/queue_impl.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t told_for_ms = 86'400'000; // a person should see it, though it mends itself
constexpr std::int64_t flood_told_ms = 60'000;   // after the last one
constexpr std::int64_t clock_every_ms = 1000;
constexpr std::int64_t clock_told_ms = 5000;
constexpr std::int64_t look_every_ms = 2000; // at whether the database is still where it was
constexpr std::int64_t sample_every_ms = 60'000;
constexpr std::size_t samples_kept = 60;
constexpr double ms_per_day = 86'400'000;

std::int64_t ballast_size(const QueueConfig& config, const std::string& vfs) {
    if (!vfs.empty())
        return 0; // the database is not on the disk on which the ballast would be
    return std::min<std::int64_t>(std::int64_t{4} * 1024 * 1024, config.max_size / 8);
}

/// The write-ahead log is part of max_size; a small queue has a short one.
int log_pages(const QueueOptions& options) {
    const std::int64_t most = std::max<std::int64_t>(16, options.config.max_size / 8 / 1024);
    return static_cast<int>(std::min<std::int64_t>(options.checkpoint_pages, most));
}

/// What a person should know, though all goes on as it should.
bool is_notice(const std::string& code) {
    constexpr std::string_view notices[] = {"aside", "machine", "replaced", "storage"};
    return std::find(std::begin(notices), std::end(notices), code) != std::end(notices);
}

} // namespace

Queue::Impl::Impl(boost::asio::any_io_executor loop, const Clock& clock, QueueOptions options)
    : loop_(std::move(loop)), timer_(loop_), clock_(clock), options_(std::move(options)) {
    if (options_.floor_ms == 0)
        options_.floor_ms = build_floor_ms();
    trust_ = std::make_unique<ClockTrust>(clock_, options_.time.require_sync, options_.floor_ms);
    ArchiveContent content;
    std::string problem;
    archive_ = std::make_unique<Archive>(loop_,
                                         Archive::Options{options_.config.path.string(), options_.vfs,
                                                          ballast_size(options_.config, options_.vfs),
                                                          log_pages(options_), options_.while_opening},
                                         content, problem);
    is_volatile_ = !problem.empty();
    if (is_volatile_)
        set_alarm("flash", "Flash cannot be used, readings are kept in memory: " + problem);
    if (!content.damage.empty())
        tell_for_a_day("damaged", was_damaged);
    if (!content.refused.empty())
        tell_for_a_day("refused", content.refused);
    if (!options_.storage.empty())
        set_alarm("storage", options_.storage);
    adoption_ = std::make_unique<Adoption>(*archive_, adoption_ports());
    recover(std::move(content));
    last_commit_ms_ = started_ms_ = clock_.boot_ms();
    on_clock(trust_->update());
    if (books_.queued() > 0)
        log::info("queue: {} readings wait from before", books_.queued());
}

Queue::Impl::~Impl() {
    // The hot log may still be buffered; a crash would lose that, an orderly end need not.
    flush_hot();
}

void Queue::Impl::start() {
    is_started_ = true;
    arm_timer();
}

void Queue::Impl::arm_timer() {
    if (!is_started_)
        return;
    const std::int64_t until_hot = hot_due_ms_ == 0 ? clock_every_ms : hot_due_ms_ - clock_.boot_ms();
    timer_.expires_after(std::chrono::milliseconds(std::clamp<std::int64_t>(until_hot, 1, clock_every_ms)));
    timer_.async_wait([this, alive = std::weak_ptr<int>(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired())
            on_timer();
    });
}

void Queue::Impl::on_timer() {
    tick();
    arm_timer();
}

void Queue::Impl::tick() {
    on_clock(trust_->update());
    if (hot_due_ms_ != 0 && clock_.boot_ms() >= hot_due_ms_)
        flush_hot();
    if (is_commit_due() && !is_committing_) {
        if (hot_->is_broken())
            rotate_hot();
        drop_aged();
        if (has_work())
            start_commit();
        else
            last_commit_ms_ = any_change_ ? last_commit_ms_ : clock_.boot_ms();
    }
    if (is_settling_due() && !is_committing_)
        start_commit(Scope::settlements);
    look_at_place();
    if (!is_committing_ && !adoption_->is_running() &&
        (is_aside_due_ || (aside_due_ms_ != 0 && clock_.boot_ms() >= aside_due_ms_)))
        look_aside(true, nullptr);
    sample_written();
    if (clock_.boot_ms() - flood_ms_ >= flood_told_ms)
        clear_alarm("flood");
}

/// Every few seconds: files that somebody removed are written anew, without waiting for a commit to be due.
/// Where that does not succeed, commits try it again.
void Queue::Impl::look_at_place() {
    const std::int64_t now = clock_.boot_ms();
    if (now - looked_ms_ < look_every_ms)
        return;
    looked_ms_ = now;
    hot_->check();
    if (hot_->is_broken())
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
    if (is_looking_ || is_committing_ || alarms_.contains("flash"))
        return;
    is_looking_ = true;
    archive_->look([this](bool is_at_place) {
        is_looking_ = false;
        flash_changed_ = flash_changed_ || !is_at_place;
        if (!is_at_place)
            start_commit();
    });
}

void Queue::Impl::count_lost(std::uint64_t readings) {
    books_.read += readings;
    books_.drop(DropReason::flood, readings);
    any_change_ = true;
    flood_ms_ = clock_.boot_ms();
    set_alarm("flood", "Readings are lost: the sources produce more than this machine can take in");
}

void Queue::Impl::sample_written() {
    const std::int64_t now = clock_.boot_ms();
    if (!written_.empty() && now - written_.back().boot_ms < sample_every_ms)
        return;
    written_.push_back({now, archive_->counters().bytes});
    if (written_.size() > samples_kept)
        written_.pop_front();
}

void Queue::Impl::configure(const QueueConfig& config, const TimeConfig& time, std::size_t live_limit) {
    const QueueConfig old = std::exchange(options_.config, config);
    options_.config.path = old.path;
    options_.config.hot_path = old.hot_path;
    options_.time = time;
    options_.live_limit = live_limit;
    trust_->set_require_sync(time.require_sync);
    for (Device& d : devices_)
        d.log.set_live_limit(live_limit);
}

QueueStatus Queue::Impl::status() const {
    QueueStatus s;
    s.books = books_;
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        const DeviceLog& log = devices_[id].log;
        const Waiting w = log.waiting();
        s.queued += log.outstanding();
        const bool is_known = !log.chunks().empty() && log.chunks().front().block.boot == 0 &&
                              log.chunks().front().block.first <= log.base();
        s.devices.push_back({id, catalogue_.devices()[id], w.live + w.backlog, log.in_flight(),
                             log.held_count(), is_known ? log.chunks().front().block.oldest : 0});
    }
    s.commits = commits_;
    s.syncs = archive_->counters().syncs;
    s.bytes_written = archive_->counters().bytes;
    if (!written_.empty() && clock_.boot_ms() > written_.front().boot_ms)
        s.bytes_per_day = static_cast<double>(s.bytes_written - written_.front().bytes) * ms_per_day /
                          static_cast<double>(clock_.boot_ms() - written_.front().boot_ms);
    s.file_size = file_size_;
    s.file_used = used_;
    s.memory = memory_;
    s.clock_trusted = trust_->anchor().has_value();
    s.alarms = alarms();
    s.aside = aside();
    return s;
}

// --- Alarms

std::vector<QueueAlarm> Queue::Impl::alarms() const {
    std::vector<QueueAlarm> all;
    for (const auto& [code, text] : alarms_)
        all.push_back({code, text, !is_notice(code)});
    // A moment after the start the answer of systemd is not there yet.
    if (!trust_->anchor() && clock_.boot_ms() - started_ms_ >= clock_told_ms)
        all.push_back({"clock", trust_->explain_wait(), true});
    return all;
}

void Queue::Impl::set_alarm(const std::string& code, const std::string& text) {
    const auto [at, is_new] = alarms_.insert_or_assign(code, text);
    if (is_new)
        log::error("queue: {}", text);
}

/// After a commit that succeeded: what it ended by itself.
void Queue::Impl::clear_old_alarms() {
    clear_alarm("memory"); // comes again should memory not suffice all the same
    for (auto at = told_ms_.begin(); at != told_ms_.end();) {
        const auto [code, since_ms] = *at;
        const bool is_over = clock_.boot_ms() - since_ms >= told_for_ms;
        at = is_over ? told_ms_.erase(at) : std::next(at);
        if (is_over)
            clear_alarm(code);
    }
}

void Queue::Impl::clear_alarm(const std::string& code) {
    if (alarms_.erase(code) > 0)
        log::info("queue: alarm '{}' is over", code);
}

void Queue::Impl::tell_for_a_day(const std::string& code, const std::string& text) {
    told_ms_[code] = clock_.boot_ms();
    set_alarm(code, text);
}

// --- The public face

Queue::Queue(boost::asio::any_io_executor loop, const Clock& clock, QueueOptions options)
    : impl_(std::make_unique<Impl>(std::move(loop), clock, std::move(options))) {}

Queue::~Queue() = default;

void Queue::start() {
    impl_->start();
}

void Queue::tick() {
    impl_->tick();
}

void Queue::commit(std::function<void(bool)> handler) {
    impl_->commit(std::move(handler));
}

void Queue::shutdown(std::function<void(bool)> handler) {
    impl_->commit(std::move(handler));
}

void Queue::configure(const QueueConfig& config, const TimeConfig& time, std::size_t live_limit) {
    impl_->configure(config, time, live_limit);
}

void Queue::on_available(std::function<void(DeviceId)> handler) {
    impl_->on_available_ = std::move(handler);
}

DeviceId Queue::device(const std::string& dvnuuid) {
    return impl_->add_device(dvnuuid);
}

SeriesId Queue::series(DeviceId device, const std::string& name, const std::string& unit) {
    return impl_->add_series(device, name, unit);
}

const std::string& Queue::dvnuuid(DeviceId device) const {
    return impl_->catalogue_.devices()[device];
}

const Series& Queue::series(SeriesId id) const {
    return impl_->catalogue_.all_series()[id];
}

void Queue::drop_device(DeviceId device) {
    const std::uint64_t count =
        impl_->drop(device, {0, impl_->devices_[device].log.next()}, DropReason::removed);
    log::warning("queue: {} readings of device {} were dropped: it was removed", count, dvnuuid(device));
}

bool Queue::append(const Reading& reading, bool urgent) {
    return impl_->append(reading, urgent);
}

void Queue::count_lost(std::uint64_t readings) {
    impl_->count_lost(readings);
}

Waiting Queue::waiting(DeviceId device) const {
    return impl_->devices_[device].log.waiting();
}

void Queue::take(DeviceId device, Lane lane, std::size_t most, std::function<void(Batch)> handler) {
    impl_->take(device, lane, most, std::move(handler));
}

void Queue::take(DeviceId device, const std::vector<Span>& spans, std::function<void(Batch)> handler) {
    impl_->take(device, spans, std::move(handler));
}

void Queue::settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                   const std::string& reason) {
    impl_->settle(batch, from, count, fate, reason);
}

void Queue::store(std::vector<Command> commands, std::function<void(std::vector<Command>, bool)> handler) {
    impl_->store(std::move(commands), std::move(handler));
}

void Queue::update(const Command& command, std::function<void(bool)> handler) {
    impl_->update(command, std::move(handler));
}

std::vector<Command> Queue::unfinished() {
    return impl_->unfinished();
}

std::vector<Command> Queue::recent(const std::string& dvnuuid, std::size_t most) {
    return impl_->recent(dvnuuid, most);
}

std::vector<Command> Queue::audit(const std::string& device, std::size_t most) {
    return impl_->audit(device, most);
}

void Queue::load_audit(const std::string& device, std::size_t most,
                       std::function<void(std::vector<Command>)> handler) {
    impl_->archive_->audit(device, most, std::move(handler));
}

void Queue::adopt(const std::string& file, bool rescue, std::function<void(AdoptResult)> handler) {
    impl_->adoption_->start(file, rescue, false,
                            [this, handler = std::move(handler)](const AdoptResult& result) {
                                impl_->look_aside(false, [handler, result] { handler(result); });
                            });
}

void Queue::look_aside(std::function<void()> handler) {
    impl_->look_aside(false, std::move(handler));
}

std::vector<DeadLetter> Queue::dead_letters() const {
    return impl_->dead_letters();
}

std::size_t Queue::retry_dead(const std::vector<std::uint64_t>& ids) {
    return impl_->remove_dead(ids, true);
}

std::size_t Queue::drop_dead(const std::vector<std::uint64_t>& ids) {
    return impl_->remove_dead(ids, false);
}

QueueStatus Queue::status() const {
    return impl_->status();
}

std::vector<QueueAlarm> Queue::alarms() const {
    return impl_->alarms();
}

const Books& Queue::books() const {
    return impl_->books();
}

std::chrono::milliseconds Queue::silence(std::int64_t now_ms) {
    return impl_->archive_->silence(now_ms);
}

ClockTrust& Queue::clock_trust() {
    return *impl_->trust_;
}

} // namespace things
