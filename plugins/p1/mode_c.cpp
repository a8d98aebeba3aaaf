// SPDX-License-Identifier: Apache-2.0
#include "p1/mode_c.hpp"

#include "link/checksum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace things {

namespace {

constexpr char stx = '\x02', etx = '\x03', ack = '\x06';
// By the Z of the identification as a digit; in mode B the letter A stands for 600 and so on.
constexpr std::array speeds{300, 600, 1200, 2400, 4800, 9600, 19200};

using std::chrono::milliseconds;

LineSettings line_at(int baud) {
    return {baud, 7, LineParity::even, 1};
}

/// Time that so many characters take, with a little room.
milliseconds duration_of(std::size_t characters, int baud) {
    return milliseconds(static_cast<std::int64_t>(characters) * 10'000 / baud + 20);
}

std::string_view without_line_end(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n'))
        line.remove_suffix(1);
    return line;
}

} // namespace

std::optional<MeterIdentity> parse_identity(std::string_view line) {
    if (line.size() < 5 || line[0] != '/' || line[1] == '?')
        return std::nullopt;
    MeterIdentity identity;
    identity.header = std::string(line.substr(1));
    identity.speed_mark = line[4];
    if (line[4] >= '0' && line[4] <= '6') {
        identity.is_mode_c = true;
        identity.baud = speeds[static_cast<std::size_t>(line[4] - '0')];
    } else if (line[4] >= 'A' && line[4] <= 'F') { // mode B: at once, without being asked
        identity.baud = speeds[static_cast<std::size_t>(line[4] - 'A') + 1];
    }
    return identity;
}

std::string acknowledge(const MeterIdentity& identity, int max_baud, int& baud) {
    std::size_t mark = static_cast<std::size_t>(identity.speed_mark - '0');
    while (mark > 0 && speeds[mark] > max_baud)
        --mark;
    baud = speeds[mark];
    return fmt::format("{}0{}0\r\n", ack, mark);
}

std::optional<std::string> check_block(std::string_view block, char bcc) {
    if (block.empty() || block.back() != etx || xor8(block) != static_cast<unsigned char>(bcc))
        return std::nullopt;
    block.remove_suffix(1);
    std::size_t end = block.rfind('!');
    return std::string(end == std::string_view::npos ? block : block.substr(0, end));
}

void ModeCReadout::start() {
    state_ = options_.wake_up ? State::wake : State::sign_on;
    buffer_.clear();
    error_.clear();
}

ModeCReadout::Progress ModeCReadout::fail(std::string why) {
    state_ = State::idle;
    error_ = std::move(why);
    return Progress::failed;
}

void ModeCReadout::expect_more() {
    give_up_ = std::chrono::steady_clock::now() + options_.timeout;
}

ModeCReadout::Progress ModeCReadout::send(Stream& stream, const Patience& patience, std::string_view text) {
    Patience whole{patience.deadline + duration_of(text.size(), 300), nullptr}; // half a request helps nobody
    auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    LinkResult result = stream.write(bytes, whole);
    if (result.outcome == LinkOutcome::done)
        result = stream.drain(whole);
    if (result.outcome == LinkOutcome::done)
        return Progress::busy;
    std::string why = fmt::format("sending to the meter failed: {}",
                                  result.error.empty() ? "the port takes no bytes" : result.error);
    bool is_lost = result.outcome == LinkOutcome::closed;
    fail(std::move(why));
    return is_lost ? Progress::lost : Progress::failed;
}

ModeCReadout::Progress ModeCReadout::ask(Stream& stream, const Patience& patience) {
    if (std::string error = change_line(stream, line_at(300)); !error.empty())
        return fail(error);
    stream.discard_input();
    if (state_ == State::wake) {
        constexpr std::size_t wake_up_bytes = 66; // 2.2 s at 300 baud
        begin_ = std::chrono::steady_clock::now() + milliseconds(1600);
        state_ = State::sign_on;
        // Not interrupted by the host: a wake-up that is cut short wakes nobody.
        if (Progress sent = send(stream, patience, std::string(wake_up_bytes, '\0')); sent != Progress::busy)
            return sent;
        // From the end of sending, not from its beginning.
        begin_ = std::chrono::steady_clock::now() + milliseconds(1600);
        return Progress::busy;
    }
    state_ = State::identity;
    std::string request = fmt::format("/?{}!\r\n", options_.address);
    Progress sent = send(stream, patience, request);
    expect_more();
    return sent;
}

ModeCReadout::Progress ModeCReadout::step(Stream& stream, const Patience& patience) {
    std::array<std::uint8_t, 1024> bytes{};
    while (is_busy()) {
        if (state_ == State::wake || state_ == State::sign_on) {
            Patience pause{std::min(patience.deadline, begin_), patience.host};
            if (std::chrono::steady_clock::now() < begin_) {
                const LinkResult read = stream.read(bytes, pause);
                if (read.outcome == LinkOutcome::closed) {
                    fail(read.error);
                    return Progress::lost;
                }
                if (read.outcome == LinkOutcome::interrupted ||
                    std::chrono::steady_clock::now() >= patience.deadline)
                    return Progress::busy;
                continue;
            }
            if (Progress asked = ask(stream, patience); asked != Progress::busy)
                return asked;
            continue;
        }
        LinkResult read = stream.read(bytes, {std::min(patience.deadline, give_up_), patience.host});
        if (read.outcome == LinkOutcome::closed) {
            fail(read.error);
            return Progress::lost;
        }
        if (read.outcome == LinkOutcome::damaged)
            return fail("a character came with a parity error: is the optical head seated well?");
        if (read.outcome == LinkOutcome::done) {
            expect_more();
            std::string_view text(reinterpret_cast<const char*>(bytes.data()), read.count);
            if (Progress taken = take(text, stream, patience); taken != Progress::busy)
                return taken;
            continue;
        }
        if (read.outcome == LinkOutcome::timeout && std::chrono::steady_clock::now() >= give_up_)
            return fail(
                state_ == State::identity
                    ? "the meter does not answer \"/?!\": is the optical head seated well, the address right?"
                    : fmt::format("the readout broke off after {} bytes", buffer_.size()));
        return Progress::busy;
    }
    return Progress::failed;
}

ModeCReadout::Progress ModeCReadout::take(std::string_view bytes, Stream& stream, const Patience& patience) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        buffer_ += bytes[i];
        if (buffer_.size() > max_length)
            return fail("the meter sends more than 64 KiB without an end");
        Progress progress = Progress::busy;
        if (state_ == State::identity && bytes[i] == '\n')
            progress = take_identity(stream, patience);
        else if (state_ == State::data)
            progress = take_data();
        if (progress != Progress::busy)
            return progress;
    }
    return Progress::busy;
}

ModeCReadout::Progress ModeCReadout::take_identity(Stream& stream, const Patience& patience) {
    std::string_view line = without_line_end(buffer_);
    // The last one: an optical head may send our own request back in front of it.
    std::size_t start = line.rfind('/');
    std::optional<MeterIdentity> identity =
        start == std::string_view::npos ? std::nullopt : parse_identity(line.substr(start));
    buffer_.clear();
    if (!identity)
        return Progress::busy; // the echo of an optical head, or the rest of an old readout
    identity_ = std::move(*identity);
    state_ = State::data;
    int baud = identity_.baud;
    if (identity_.is_mode_c)
        if (Progress sent = send(stream, patience, acknowledge(identity_, options_.max_baud, baud));
            sent != Progress::busy)
            return sent;
    if (std::string error = change_line(stream, line_at(baud)); !error.empty())
        return fail(error);
    expect_more();
    return Progress::busy;
}

/// From STX to the byte behind ETX; an echo of the acknowledgement before STX is passed over.
ModeCReadout::Progress ModeCReadout::take_data() {
    std::size_t begin = buffer_.find(stx);
    std::size_t end = begin == std::string::npos ? begin : buffer_.find(etx, begin);
    if (end == std::string::npos || end + 1 >= buffer_.size())
        return Progress::busy;
    std::optional<std::string> data =
        check_block(std::string_view(buffer_).substr(begin + 1, end - begin), buffer_[end + 1]);
    if (!data)
        return fail("the check character of the readout does not fit; nothing of it is used");
    // In the shape of a P1 telegram, so that one decoder serves both.
    telegram_ = decode_telegram("/" + identity_.header + "\r\n\r\n" + *data, options_.clock);
    state_ = State::idle;
    return Progress::done;
}

} // namespace things
