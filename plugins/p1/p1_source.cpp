// SPDX-License-Identifier: Apache-2.0
#include "p1/p1_source.hpp"

#include "p1/inventory.hpp"
#include "p1/line_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t end_of_telegram_ms =
    1000; // of silence: the telegram is over, with or without a line end
constexpr milliseconds first_pause{1000}, longest_pause{30'000};
constexpr std::uint64_t enough_telegrams = 3; // to say what a meter does not send

std::variant<TelegramStream, CipherStream> make_decoder(const P1Options& options,
                                                        TelegramStream::Handler on_found) {
    using Decoder = std::variant<TelegramStream, CipherStream>;
    if (options.keys)
        return Decoder(std::in_place_type<CipherStream>, *options.keys, options.rules, std::move(on_found));
    return Decoder(std::in_place_type<TelegramStream>, options.rules, std::move(on_found));
}

} // namespace

std::unique_ptr<P1Source> P1Source::make(const PluginHost& host, const things_source_config& config) {
    bool is_good = true;
    P1Options options = read_p1_options(host, config, is_good);
    std::vector<P1Point> points = read_p1_points(host, config, is_good);
    if (!is_good)
        return nullptr;
    // Who reads by hand waits for the slowest meter, at each speed that is tried.
    LineSearch search(options.baud, options.frame);
    milliseconds first_telegram(LineSearch::trial_ms * (search.is_fixed() || options.port.empty() ? 1 : 2));
    host.patience(options.is_mode_c ? options.timeout : first_telegram);
    return std::make_unique<P1Source>(host, std::move(options), std::move(points));
}

P1Source::P1Source(PluginHost host, P1Options options, std::vector<P1Point> points)
    : host_(host), options_(std::move(options)), line_(options_.baud, options_.frame), problems_(host),
      health_(problems_, options_.where()),
      output_(host, problems_, std::move(points), options_.is_meter_clock),
      decoder_(make_decoder(options_, [this](FoundTelegram found) { on_found(std::move(found)); })),
      readout_(
          {options_.address, options_.wake_up, options_.max_baud, options_.timeout, options_.rules.clock}) {}

Arrival P1Source::now() const {
    Arrival arrival;
    arrival.monotonic_ms = monotonic_ms();
    arrival.wall_ms =
        std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    arrival.is_wall_trusted = host_.is_clock_trusted();
    return arrival;
}

int P1Source::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), &host_};
    std::vector<std::uint32_t> asked(points, points + count);
    if (options_.is_mode_c) {
        // A readout that an earlier call began may still run: its points stay wanted.
        for (std::uint32_t point : asked)
            if (std::find(wanted_.begin(), wanted_.end(), point) == wanted_.end())
                wanted_.push_back(point);
        if (!readout_.is_busy())
            readout_.start();
        return read_out(patience);
    }
    int status = THINGS_OK;
    if (health_.good() == 0)
        status = run(patience, true);
    tell_reasons();
    output_.repeat(asked);
    return status == THINGS_OK && health_.good() == 0 ? THINGS_TIMEOUT : status;
}

int P1Source::listen(std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), &host_};
    if (!options_.is_mode_c) {
        int status = run(patience, false);
        tell_reasons();
        return status;
    }
    if (!readout_.is_busy())
        return wait(patience, patience.deadline);
    int status = read_out(patience);
    return status == THINGS_OK ? wait(patience, patience.deadline) : status;
}

void P1Source::tell_reasons() const {
    if (health_.good() > 0)
        output_.tell_reasons(health_.good());
    else if (stream_)
        host_.reason(THINGS_SOURCE, 0, observer_.explain());
}

int P1Source::discover(const PluginSettings&, std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), &host_};
    if (!options_.is_mode_c) {
        is_discovering_ = true;
        int status = run(patience, true);
        is_discovering_ = false;
        return status;
    }
    if (!readout_.is_busy())
        readout_.start();
    int status = THINGS_OK;
    while (status == THINGS_OK && readout_.is_busy() && std::chrono::steady_clock::now() < patience.deadline)
        status = read_out(patience);
    if (status == THINGS_OK && !readout_.is_busy())
        for (const std::string& line : list_objects(readout_.telegram()))
            host_.found(line);
    return status;
}

int P1Source::plan() {
    for (const std::string& line : plan_line(options_, output_.points()))
        host_.found(line);
    return THINGS_OK;
}

/// Waits, without reading, until `until` or as long as patience lasts.
int P1Source::wait(const Patience& patience, SteadyTime until) const {
    LinkOutcome outcome = wait_idle({std::min(until, patience.deadline), patience.host});
    return outcome == LinkOutcome::interrupted ? THINGS_INTERRUPTED : THINGS_OK;
}

/// Opens the link unless it is open; after a failure not before a pause that grows.
int P1Source::open(const Patience& patience) {
    if (stream_)
        return THINGS_OK;
    if (int status = wait(patience, open_at_); status != THINGS_OK)
        return status;
    if (std::chrono::steady_clock::now() < open_at_) {
        health_.tell_link();
        return THINGS_FAILED;
    }
    OpenedLink opened = options_.port.empty() ? connector_.connect(options_.host, options_.tcp_port, patience)
                                              : open_serial(options_.port, line_.current());
    // An interruption is no failure: the pause must not grow for it.
    if (!opened.stream && patience.is_interrupted())
        return THINGS_INTERRUPTED;
    if (!opened.stream) {
        close(opened.trouble.text);
        return THINGS_FAILED;
    }
    stream_ = std::move(opened.stream);
    pause_ = first_pause;
    last_byte_ms_ = monotonic_ms();
    line_.begin(last_byte_ms_);
    observer_.clear();
    health_.on_open(last_byte_ms_);
    return THINGS_OK;
}

void P1Source::close(const std::string& why) {
    stream_.reset();
    open_at_ = std::chrono::steady_clock::now() + pause_;
    pause_ = std::min(pause_ * 2, longest_pause);
    std::visit([](auto& decoder) { decoder.reset(); }, decoder_);
    is_flushed_ = true;
    health_.on_link_lost(why);
}

/// Reads until patience ends, or until a telegram was found.
int P1Source::run(const Patience& patience, bool until_telegram) {
    std::array<std::uint8_t, 4096> bytes{};
    std::uint64_t before = health_.good();
    for (;;) {
        if (int status = open(patience); status != THINGS_OK)
            return status;
        // Twice in the time that ends a telegram, so that one without a line end is flushed soon after.
        SteadyTime next_look = std::chrono::steady_clock::now() + milliseconds(end_of_telegram_ms / 2);
        LinkResult read = stream_->read(bytes, {std::min(patience.deadline, next_look), patience.host});
        std::int64_t at = monotonic_ms();
        if (read.outcome == LinkOutcome::done) {
            last_byte_ms_ = at;
            is_flushed_ = false;
            feed({reinterpret_cast<const char*>(bytes.data()), read.count});
        } else if (read.outcome == LinkOutcome::damaged) {
            // Encrypted frames come without parity; there is nothing to mark in them.
            if (auto* plain = std::get_if<TelegramStream>(&decoder_); plain != nullptr)
                plain->mark_damaged();
        } else if (read.outcome == LinkOutcome::closed) {
            close(fmt::format("{}: {}; it is opened again", options_.where(), read.error));
            return THINGS_FAILED;
        }
        look_after(at);
        if (until_telegram && health_.good() > before)
            return THINGS_OK;
        if (read.outcome == LinkOutcome::interrupted)
            return THINGS_INTERRUPTED;
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return THINGS_OK;
    }
}

void P1Source::feed(std::string_view bytes) {
    observer_.see(bytes);
    Arrival arrival = now();
    std::optional<std::int64_t> trusted;
    // With `clock: meter` the meter is believed even where it is ahead of the gateway.
    if (arrival.is_wall_trusted && !options_.is_meter_clock)
        trusted = arrival.wall_ms / 1000;
    std::visit(
        [&bytes, &trusted](auto& decoder) {
            decoder.set_now(trusted);
            decoder.feed(bytes);
        },
        decoder_);
}

void P1Source::on_found(FoundTelegram found) {
    Arrival arrival = now();
    if (!found.telegram) {
        if (found.reason == DamageReason::line_setting && line_.on_parity_seen(arrival.monotonic_ms))
            is_line_stale_ = true; // changed behind this call: the stream is being read
        else if (line_.is_found() || line_.is_fixed() || found.reason == DamageReason::authentication ||
                 stream_->kind() ==
                     Stream::Kind::socket) // else it is the wrong speed, which is being searched for
            health_.on_damaged(found, arrival.monotonic_ms);
        return;
    }
    line_.on_telegram(arrival.monotonic_ms);
    health_.on_good(arrival.monotonic_ms);
    // What came in before explains no later silence.
    observer_.clear();
    output_.take(*found.telegram, arrival);
    if (std::exchange(is_discovering_, false))
        for (const std::string& line : list_objects(*found.telegram))
            host_.found(line);
    if (health_.good() == enough_telegrams)
        output_.tell_missing();
}

/// What has to be done now and then: the end of a telegram without a line end, the alarm, another line
/// setting.
void P1Source::look_after(std::int64_t now_ms) {
    if (!is_flushed_ && now_ms - last_byte_ms_ >= end_of_telegram_ms) {
        is_flushed_ = true;
        std::visit([](auto& decoder) { decoder.flush(); }, decoder_);
    }
    if (std::exchange(is_line_stale_, false) || line_.advance(now_ms))
        change_to_current_line();
    if (now_ms - health_.last_good_ms() >= options_.alarm_after.count() && !health_.is_silent())
        health_.on_silence(observer_.explain());
    health_.look(now_ms);
}

void P1Source::change_to_current_line() {
    // The line's settings are those of the serial server, out of reach from here.
    if (stream_->kind() == Stream::Kind::socket)
        return;
    if (std::string error = change_line(*stream_, line_.current()); !error.empty()) {
        close(fmt::format("{}: {}", options_.where(), error));
        return;
    }
    // It came at the old speed.
    stream_->discard_input();
    std::visit([](auto& decoder) { decoder.reset(); }, decoder_);
    is_flushed_ = true;
}

int P1Source::read_out(const Patience& patience) {
    if (int status = open(patience); status != THINGS_OK) {
        if (status == THINGS_FAILED)
            wanted_.clear();
        return status;
    }
    switch (readout_.step(*stream_, patience)) {
    case ModeCReadout::Progress::busy:
        return patience.is_interrupted() ? THINGS_INTERRUPTED : THINGS_OK;
    case ModeCReadout::Progress::lost:
        close(fmt::format("{}: {}; it is opened again", options_.where(), readout_.error()));
        wanted_.clear();
        return THINGS_FAILED;
    case ModeCReadout::Progress::failed:
        problems_.begin(
            "readout", fmt::format("reading the meter on {} failed: {}", options_.where(), readout_.error()));
        is_readout_failing_ = true;
        wanted_.clear();
        return THINGS_FAILED;
    case ModeCReadout::Progress::done:
        break;
    }
    Arrival arrival = now();
    health_.on_good(arrival.monotonic_ms);
    if (std::exchange(is_readout_failing_, false))
        problems_.end("readout", "the meter is read again");
    std::vector<std::uint32_t> wanted = std::exchange(wanted_, {});
    output_.take(readout_.telegram(), arrival, &wanted);
    output_.tell_missing();
    return THINGS_OK;
}

} // namespace things
