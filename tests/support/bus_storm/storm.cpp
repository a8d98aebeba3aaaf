// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/storm.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr unsigned places = 6, groups = 3;

} // namespace

Storm::Storm(Kind kind, std::uint64_t seed) : kind_(kind), random_(seed) {
    settings_.serial = kind == Kind::noise || kind == Kind::rtu;
    settings_.rtu_framing = !is_tcp();
    settings_.line.baud = 115200;
    auto link = std::make_unique<SimulatedLink>(
        [this](SimulatedLink& far, const StormBytes& request) { serve(far, request); });
    link_ = link.get();
    bus_ = std::make_unique<ModbusBus>(settings_, std::move(link), nullptr);
}

void Storm::run(std::uint64_t exchanges) {
    for (std::uint64_t i = 0; i < exchanges; ++i) {
        if (i % 1000 == 0) {
            link_->sleep_until(link_->now() +
                               (latest + 1) * timing_.timeout); // nothing is on its way any more
            error_rate_ = std::pow(10.0, -2 - 3 * part());
            timing_.timeout = milliseconds(std::array{20, 100, 1000}[below(3)]);
        }
        one_exchange();
    }
}

void Storm::one_exchange() {
    ++exchanges_;
    BusRequest request;
    request.unit = static_cast<std::uint8_t>(1 + below(units));
    request.function = static_cast<std::uint8_t>(1 + below(4));
    const unsigned scale = storm_scale(request.function); // four words are 64 bits
    request.address = static_cast<std::uint16_t>(4 * groups * below(places) * scale);
    request.count = static_cast<std::uint16_t>(4 * (1 + below(groups)) * scale);
    timing_.retries = static_cast<int>(below(3));
    timing_.silent_retries = static_cast<int>(below(static_cast<std::uint64_t>(timing_.retries) + 1));
    timing_.patience = timing_.timeout / (below(8) == 0 ? 4 : 1);
    while (bus_->open())
        link_->sleep_until(link_->now() + milliseconds(100));
    const std::uint32_t first_number = number_ + 1;
    const std::uint64_t before = frames_;
    const bool knew = !is_tcp() || bus_->numbers() != AnswerNumbers::unknown;
    tell("exchange " + std::to_string(exchanges_) + ", " + std::to_string(timing_.timeout.count()) + " ms");
    const Exchange result = bus_->exchange(request, timing_);
    tell("result " + std::to_string(static_cast<int>(result.status)));
    if (!lie_.empty())
        forged_ += link_->withdraw(std::exchange(lie_, {})) ? 1 : 0;
    const std::uint64_t learned = knew ? 0 : 3; // how the device numbers its answers
    too_many_ += frames_ - before > static_cast<std::uint64_t>(timing_.retries) + 1 + learned ? 1 : 0;
    judge(request, result, first_number);
    if (below(3) == 0) // the line rests
        link_->sleep_until(link_->now() +
                           nanoseconds(below(2 * static_cast<std::uint64_t>(
                                                     std::chrono::nanoseconds(timing_.timeout).count()))));
}

void Storm::tell(const std::string& text) const {
    if (exchanges_ >= tell_from_)
        std::printf("%.6f %s\n", std::chrono::duration<double>(link_->now().time_since_epoch()).count(),
                    text.c_str());
}

void Storm::judge(const BusRequest& request, const Exchange& result, std::uint32_t first_number) {
    switch (result.status) {
    case Exchange::Status::answered:
        break;
    case Exchange::Status::exception:
        ++exceptions_;
        return;
    case Exchange::Status::silent:
        ++silent_;
        return;
    case Exchange::Status::damaged:
        ++damaged_;
        return;
    case Exchange::Status::lost:
        ++lost_;
        return;
    }
    ++good_;
    std::vector<std::uint16_t> words = result.words;
    if (storm_scale(request.function) > 1) {
        words.assign(result.words.size() / 16, 0);
        for (std::size_t i = 0; i < result.words.size(); ++i)
            words[i / 16] = static_cast<std::uint16_t>(words[i / 16] | result.words[i] << i % 16);
    }
    const unsigned scale = storm_scale(request.function);
    const std::uint32_t number = static_cast<std::uint32_t>(words.at(2) << 16 | words.at(3));
    bool well = words.size() * scale == request.count && number > 0 && number <= number_;
    for (std::size_t i = 0; i + 3 < words.size(); i += 4)
        well = well && words[i] == (request.unit << 8 | request.function) &&
               words[i + 1] == request.address / scale + i &&
               static_cast<std::uint32_t>(words[i + 2] << 16 | words[i + 3]) == number;
    if (well && number < first_number) { // the answer to the same question, asked before
        ++stale_;
        const std::size_t back = number_ - number;
        const auto age = back < served_.size() ? link_->now() - served_[served_.size() - 1 - back]
                                               : SteadyTime::duration::max();
        oldest_ = std::max(oldest_, age);
        well = !is_numbered() && age <= (latest + 1) * timing_.timeout;
    }
    if (well)
        return;
    if (is_mixture()) {
        ++forged_;
        return;
    }
    ++wrong_;
    if (first_wrong_.empty())
        first_wrong_ = "exchange " + std::to_string(exchanges_) + ": unit " + std::to_string(request.unit) +
                       " function " + std::to_string(request.function) + " address " +
                       std::to_string(request.address) + " gave unit and function " +
                       std::to_string(words[0]) + " address " + std::to_string(words[1]) + " of request " +
                       std::to_string(number) + ", asked as " + std::to_string(first_number);
}

// A frame that lost its end is made whole by the next one's beginning once in 65536 times, and in TCP when
// that comes in pieces: what was heard holds an answer right in every respect that no device ever sent.
bool Storm::is_mixture() const {
    const StormBytes& heard = link_->heard();
    const std::size_t size = storm_frame(asked_, storm_pdu(asked_, 0), is_tcp()).size();
    for (std::size_t at = 0; at + size <= heard.size(); ++at) {
        if (!answers(heard, at, size, asked_, is_tcp()) || (is_tcp() && at + size != heard.size()))
            continue;
        const auto begin = heard.begin() + static_cast<std::ptrdiff_t>(at);
        const StormBytes frame(begin, begin + static_cast<std::ptrdiff_t>(size));
        return std::find(whole_.begin(), whole_.end(), frame) == whole_.end();
    }
    return false;
}

std::string Storm::report() const {
    std::string text = "{";
    const auto add = [&text](const char* name, std::uint64_t value) {
        text += std::string(text.size() > 1 ? ", " : "") + "\"" + name + "\": " + std::to_string(value);
    };
    add("exchanges", exchanges_);
    add("frames", frames_);
    add("spoiled", spoiled_);
    add("forged", forged_);
    add("good", good_);
    add("exceptions", exceptions_);
    add("silent", silent_);
    add("damaged", damaged_);
    add("lost", lost_);
    add("too_many", too_many_);
    add("stale", stale_);
    add("oldest_ms", static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(oldest_).count()));
    add("late_answers", bus_->late_answers());
    add("wrong", wrong_);
    for (std::size_t i = 0; i < tricks; ++i)
        if (played_[i] > 0)
            add(trick_names[i], played_[i]);
    return text + ", \"first_wrong\": \"" + first_wrong_ + "\"}";
}

} // namespace things
