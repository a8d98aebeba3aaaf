// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_bus.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace things {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr double assumed_turnaround_us = 5000; // of a device on a serial line
constexpr double assumed_round_trip_us = 1000; // on TCP
constexpr milliseconds frame_over{50};         // adapters deliver in lumps up to 16 ms apart
constexpr microseconds shortest_sleep{200};
constexpr milliseconds busy_pause{100};    // after an exception that says "later"
constexpr milliseconds chatter_limit{500}; // a line that is never silent is used all the same
constexpr std::size_t room = 600;
constexpr std::size_t exception_size = 5;

double microseconds_of(nanoseconds span) {
    return static_cast<double>(span.count()) / 1000.0;
}

std::unique_ptr<ByteLink> make_link(const LinkSettings& settings) {
    LinkAddress address;
    if (settings.serial)
        address.port = settings.port;
    address.line = settings.line;
    address.use = {false, settings.rs485};
    address.host = settings.host;
    address.tcp_port = settings.tcp_port;
    return std::make_unique<StreamLink>(std::move(address));
}

void finish(Exchange& result, const ModbusAnswer& answer, const BusRequest& request) {
    result.status = answer.kind == ModbusAnswer::Kind::exception ? Exchange::Status::exception
                                                                 : Exchange::Status::answered;
    result.code = answer.code;
    if (result.status == Exchange::Status::answered && request.function <= 4)
        result.words = payload_words(answer.payload, request);
}

// Was what came the answer itself? Something else that was heard while it was waited for is as good as
// silence.
bool came_damaged(const Exchange& result, std::size_t received, const BusRequest& request) {
    return result.misfit.kind == Misfit::Kind::damaged ||
           (result.misfit.kind == Misfit::Kind::garbage && received == rtu_answer_size(request));
}

unsigned settle(OwedAnswers& owed, const LinkSettings& settings, Bytes received) {
    return settings.rtu_framing ? owed.settle(received) : owed.settle(tcp_frames_as_rtu(received));
}

} // namespace

ModbusBus::ModbusBus(const LinkSettings& settings, const PluginHost* host)
    : ModbusBus(settings, make_link(settings), host) {}

ModbusBus::ModbusBus(const LinkSettings& settings, std::unique_ptr<ByteLink> link, const PluginHost* host)
    : settings_(settings), connection_(settings_, std::move(link), host), link_(connection_.link()),
      numbering_(static_cast<std::uint16_t>(link_.now().time_since_epoch().count() >> 10)),
      turnaround_us_(settings.serial ? assumed_turnaround_us : assumed_round_trip_us) {
    if (settings.serial) {
        character_ = nanoseconds(static_cast<std::int64_t>(1000 * 1000 * character_ms(settings.line)));
        silence_ = nanoseconds(static_cast<std::int64_t>(1000 * silence_us(settings.line)));
    }
    received_.reserve(room);
}

ModbusBus::~ModbusBus() = default;

std::optional<LinkTrouble> ModbusBus::open() {
    if (!is_open()) {
        if (auto trouble = connection_.open())
            return trouble;
        quiet_since_ = link_.now();
        received_.clear();
        echoes_ = false;
    }
    return connection_.await_ready();
}

void ModbusBus::close() {
    link_.close();
}

Exchange ModbusBus::lose() {
    connection_.lose();
    return lost();
}

Exchange ModbusBus::lost() const {
    Exchange result;
    result.status = Exchange::Status::lost;
    result.was_sent = sent_ > 0;
    return result;
}

// Many devices close an idle connection, some after each answer: what was not sent yet is not lost.
bool ModbusBus::reopen_if_closed() {
    if (!link_.is_open())
        return !open();
    if (settings_.serial)
        return true;
    std::array<std::uint8_t, room> stray{};
    std::size_t got = 0;
    switch (link_.receive(stray, link_.now(), got)) {
    case ByteLink::Received::nothing:
        return true;
    case ByteLink::Received::bytes:
        quiet_since_ = link_.now();
        if (is_unnumbered())
            late_answers_ += settle(owed_, settings_, Bytes(stray).first(got));
        else
            take_in(Bytes(stray).first(got));
        return true;
    case ByteLink::Received::lost:
        break;
    }
    const bool has_answered = connection_.has_answered();
    static_cast<void>(lose());
    return has_answered && !open();
}

// With one request under way on a connection on which nothing is owed there is nothing to mix up.
bool ModbusBus::learn_numbers(const Misfit& misfit) {
    link_.close();
    if (numbering_.on_other())
        connection_.set_note({"answer_numbers", settings_.text() +
                                                    " numbers its answers in a way of its own (" +
                                                    std::to_string(misfit.came) + " in answer to request " +
                                                    std::to_string(misfit.wanted) +
                                                    "). They are taken all the same; after an answer that "
                                                    "did not come in time, requests that look "
                                                    "alike wait until it can no longer come."});
    return !open();
}

Exchange ModbusBus::exchange(const BusRequest& request, const BusTiming& timing) {
    sent_ = 0;
    if (!reopen_if_closed() || (is_unnumbered() && !await_owed(request)))
        return link_.is_open() ? lose() : lost();
    const SteadyTime first_sent = link_.now();
    bool was_silent = false;
    Exchange result;
    for (int attempt_number = 1; attempt_number <= timing.retries + 1; ++attempt_number) {
        if (attempt_number > 1 && link_.now() >= timing.until)
            break;
        const SteadyTime began = link_.now();
        result = attempt(request, timing);
        result.attempts = attempt_number;
        result.was_sent = sent_ > 0;
        result.duration_us =
            static_cast<std::uint32_t>(duration_cast<microseconds>(link_.now() - began).count());
        if (result.status == Exchange::Status::answered || result.status == Exchange::Status::lost)
            break;
        if (result.misfit.kind == Misfit::Kind::other_number && numbering_.kind() == AnswerNumbers::unknown &&
            !writes(request)) {
            if (!learn_numbers(result.misfit))
                return lost();
            --attempt_number;
            continue;
        }
        was_silent = was_silent || (result.status != Exchange::Status::exception &&
                                    !came_damaged(result, received_.size(), request));
        if (result.status == Exchange::Status::silent && attempt_number > timing.silent_retries)
            break;
        if (writes(request) && result.status != Exchange::Status::exception)
            break;
        if (result.status == Exchange::Status::exception) {
            if (!says_later(result.code) || (writes(request) && result.code == acknowledge))
                break;
            if (attempt_number <= timing.retries)
                link_.sleep_until(link_.now() + busy_pause);
        }
    }
    const bool is_exception = result.status == Exchange::Status::exception;
    const bool is_answered = is_exception || result.status == Exchange::Status::answered;
    if (is_unnumbered())
        owed_.note(request,
                   {first_sent, link_.now(), sent_, timing.timeout, is_answered, is_exception, was_silent});
    if (is_answered)
        connection_.on_answer();
    return result;
}

Exchange ModbusBus::attempt(const BusRequest& request, const BusTiming& timing) {
    if (!keep_silence(timing.pause))
        return lose();
    return settings_.rtu_framing ? attempt_rtu(request, timing) : attempt_tcp(request, timing);
}

// Waits until the line was silent for 3.5 characters (and the device's pause), throwing away what still
// comes.
bool ModbusBus::keep_silence(milliseconds pause) {
    if (!settings_.rtu_framing) {
        if (pause.count() > 0)
            link_.sleep_until(quiet_since_ + pause);
        return true;
    }
    std::array<std::uint8_t, room> stray{};
    const SteadyTime limit = link_.now() + chatter_limit + pause;
    for (;;) {
        const SteadyTime free = std::min(quiet_since_ + silence_ + pause, std::max(limit, quiet_since_));
        std::size_t got = 0;
        switch (link_.receive(stray, free, got)) {
        case ByteLink::Received::nothing:
            return true;
        case ByteLink::Received::lost:
            return false;
        case ByteLink::Received::bytes:
            quiet_since_ = link_.now();
            late_answers_ += settle(owed_, settings_, {stray.data(), got});
            if (quiet_since_ > limit)
                return true;
        }
    }
}

Exchange ModbusBus::attempt_rtu(const BusRequest& request, const BusTiming& timing) {
    const BusFrame frame = rtu_frame(request);
    const std::size_t size = rtu_answer_size(request);
    received_.clear();
    SteadyTime sent = link_.now();
    ++sent_;
    if (!link_.send(frame.bytes(), sent + timing.patience))
        return lose();
    sent += character_ * static_cast<int>(frame.bytes().size());
    const SteadyTime deadline = std::max(sent, link_.now()) + timing.patience;
    SteadyTime until = deadline;
    Exchange result;
    for (;;) {
        std::array<std::uint8_t, room> chunk{};
        std::size_t got = 0;
        const ByteLink::Received outcome = link_.receive(chunk, until, got);
        if (outcome == ByteLink::Received::lost)
            return lose();
        if (outcome == ByteLink::Received::nothing)
            break;
        quiet_since_ = link_.now();
        if (received_.empty())
            learn_turnaround(microseconds_of(quiet_since_ - sent - character_));
        take_in(Bytes(chunk).first(got));
        const std::size_t skip =
            echoes_ && received_.size() >= frame.bytes().size() &&
                    std::equal(frame.bytes().begin(), frame.bytes().end(), received_.begin())
                ? frame.bytes().size()
                : 0;
        const Bytes all = Bytes(received_).subspan(skip);
        const ModbusAnswer answer = find_rtu_answer(all, request);
        if (answer.kind != ModbusAnswer::Kind::incomplete) {
            if (skip == 0 && request.function <= 4 && answer.consumed > frame.bytes().size())
                echoes_ = std::equal(frame.bytes().begin(), frame.bytes().end(), received_.begin());
            finish(result, answer, request);
            const std::size_t length = answer.kind == ModbusAnswer::Kind::exception ? exception_size : size;
            owed_.remember(all.subspan(answer.consumed - length, length));
            return result;
        }
        if (quiet_since_ >= deadline)
            break;
        // As much came as the answer has, and then nothing: it is damaged, waiting longer brings nothing.
        until = all.size() >= size ? std::min(deadline, quiet_since_ + frame_over + silence_) : deadline;
        const std::size_t due = all.size() < exception_size ? exception_size : size;
        if (due > all.size())
            sleep_through(due - all.size(), deadline);
    }
    quiet_since_ = std::max(quiet_since_, sent);
    result.misfit = diagnose_rtu(received_, request);
    result.status =
        result.misfit.kind == Misfit::Kind::silence ? Exchange::Status::silent : Exchange::Status::damaged;
    result.misfit.keep(received_);
    return result;
}

/// Of a line that never falls silent the newer half is kept.
void ModbusBus::take_in(Bytes chunk) {
    if (received_.size() + chunk.size() > room)
        received_.erase(received_.begin(),
                        received_.begin() + static_cast<std::ptrdiff_t>(received_.size() / 2));
    received_.insert(received_.end(), chunk.begin(), chunk.end());
}

/// Rather than waking up for each of so many characters, sleeps for most of them; the device's clock may be a
/// little faster than ours.
void ModbusBus::sleep_through(std::size_t characters, SteadyTime deadline) {
    const auto rest = character_ * static_cast<int>(characters) * 7 / 8;
    if (rest > shortest_sleep)
        link_.sleep_until(std::min(deadline, quiet_since_ + rest));
}

Exchange ModbusBus::attempt_tcp(const BusRequest& request, const BusTiming& timing) {
    const SteadyTime sent = link_.now();
    const SteadyTime deadline = sent + timing.patience;
    const std::uint16_t transaction = numbering_.next();
    const bool any_number = numbering_.takes_any(request);
    const BusFrame frame = tcp_frame(request, transaction);
    if (any_number)
        received_.clear();
    ++sent_;
    if (!link_.send(frame.bytes(), deadline))
        return lose();
    Exchange result;
    SteadyTime until = deadline;
    for (;;) {
        std::array<std::uint8_t, room> chunk{};
        std::size_t got = 0;
        const ByteLink::Received outcome = link_.receive(chunk, until, got);
        if (outcome == ByteLink::Received::lost)
            return lose();
        if (outcome == ByteLink::Received::nothing) {
            if (result.misfit.kind == Misfit::Kind::other_number)
                numbering_.on_other_only();
            return result;
        }
        received_.insert(received_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(got));
        const ModbusAnswer answer =
            find_tcp_answer(received_, request, any_number ? std::nullopt : std::optional(transaction));
        late_answers_ += answer.foreign;
        if (!answer.misnumbered.empty()) {
            result.misfit = {Misfit::Kind::other_number, transaction,
                             static_cast<unsigned>(answer.misnumbered[0] << 8 | answer.misnumbered[1])};
            result.misfit.keep(answer.misnumbered);
            if (numbering_.kind() == AnswerNumbers::unknown)
                until = std::min(deadline, link_.now() + frame_over);
        }
        if (answer.kind != ModbusAnswer::Kind::incomplete)
            take_tcp(result, answer, request, sent, any_number);
        received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   answer.consumed, received_.size())));
        if (answer.kind != ModbusAnswer::Kind::incomplete)
            return result;
    }
}

void ModbusBus::take_tcp(Exchange& result, const ModbusAnswer& answer, const BusRequest& request,
                         SteadyTime sent, bool any_number) {
    if (answer.kind == ModbusAnswer::Kind::mismatch) {
        result.status = Exchange::Status::damaged;
        result.misfit = diagnose_tcp(answer.body, request);
        result.misfit.keep(received_);
        received_.clear();
        return;
    }
    quiet_since_ = link_.now();
    learn_turnaround(microseconds_of(quiet_since_ - sent));
    finish(result, answer, request);
    if (any_number)
        owed_.remember(tcp_frames_as_rtu(Bytes(received_).first(answer.consumed)));
    else
        numbering_.on_right();
}

void ModbusBus::learn_turnaround(double us) {
    constexpr double weight = 0.1;
    turnaround_us_ += weight * (std::max(us, 0.0) - turnaround_us_);
}

SteadyTime ModbusBus::clear_at(const BusRequest& request) const {
    return owed_.clear_at(request);
}

nanoseconds ModbusBus::clear_after(milliseconds timeout) const {
    return is_unnumbered() ? OwedAnswers::longest(timeout) : nanoseconds(0);
}

// Listens until nothing can come any more that would be taken for the answer to `request`. False: link lost.
bool ModbusBus::await_owed(const BusRequest& request) {
    owed_.forgive(link_.now());
    for (;;) {
        const SteadyTime when = clear_at(request);
        if (when <= link_.now())
            return true;
        std::array<std::uint8_t, room> chunk{};
        std::size_t got = 0;
        received_.clear();
        SteadyTime until = when;
        for (;;) {
            const ByteLink::Received outcome = link_.receive(chunk, until, got);
            if (outcome == ByteLink::Received::lost)
                return false;
            if (outcome == ByteLink::Received::nothing)
                break;
            quiet_since_ = link_.now();
            if (received_.size() + got > room)
                received_.clear();
            received_.insert(received_.end(), chunk.begin(),
                             chunk.begin() + static_cast<std::ptrdiff_t>(got));
            until = quiet_since_ + frame_over;
        }
        late_answers_ += settle(owed_, settings_, received_);
    }
}

LinkCost ModbusBus::cost(milliseconds pause) const {
    const double pause_us = static_cast<double>(duration_cast<microseconds>(pause).count());
    return settings_.serial ? serial_cost(settings_.line, pause_us, turnaround_us_)
                            : tcp_cost(pause_us, turnaround_us_);
}

} // namespace things
