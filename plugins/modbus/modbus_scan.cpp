// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_scan.hpp"

#include "modbus/explanation.hpp"
#include "modbus/poll_plan.hpp"
#include "modbus/register_width.hpp"
#include "things_plugin.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

namespace things {

namespace {

constexpr std::chrono::milliseconds serial_timeout{250}, tcp_timeout{500};
constexpr std::uint32_t last_unit = 247;
constexpr std::uint32_t usual_registers = 1024; // looked at if no range is given
constexpr std::uint32_t block = 64;             // first read of the bisection; a power of two
constexpr int most_silent = 16;                 // requests in a row until the unit is looked for again

const char* parity_name(LineParity parity) {
    return parity == LineParity::none ? "none" : parity == LineParity::even ? "even" : "odd";
}

std::string hex(std::uint16_t word) {
    static const char* const digits = "0123456789ABCDEF";
    return {
        '0', 'x', digits[word >> 12], digits[word >> 8 & 0xF], digits[word >> 4 & 0xF], digits[word & 0xF]};
}

std::vector<LineSettings> frames_to_try(const PluginSettings& settings, const LineSettings& usual) {
    std::vector<LineSettings> by_baud, frames;
    for (const things_value& item : settings.items("baud"))
        if (const auto baud = number_of(item); baud && *baud >= 50 && *baud <= 4000000) {
            by_baud.push_back(usual);
            by_baud.back().baud = static_cast<int>(*baud);
        }
    if (const auto baud = settings.integer("baud");
        by_baud.empty() && baud && *baud >= 50 && *baud <= 4000000) {
        by_baud.push_back(usual);
        by_baud.back().baud = static_cast<int>(*baud);
    }
    if (by_baud.empty())
        by_baud.push_back(usual);
    std::vector<things_value> parities = settings.items("parity");
    for (const LineSettings& frame : by_baud) {
        if (parities.empty())
            frames.push_back(frame);
        for (const things_value& item : parities) {
            frames.push_back(frame);
            frames.back().parity = parity_of(text_of(item));
        }
    }
    return frames;
}

// "1-32" or "7": the ids that `units` names.
bool read_range(const PluginSettings& settings, std::int64_t& from, std::int64_t& to) {
    if (const auto single = settings.integer("units")) {
        from = to = *single;
        return true;
    }
    const std::string text = settings.text("units");
    const char *begin = text.data(), *end = begin + text.size();
    const auto first = std::from_chars(begin, end, from);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-')
        return false;
    const auto last = std::from_chars(first.ptr + 1, end, to);
    return last.ec == std::errc() && last.ptr == end;
}

} // namespace

ScanOptions read_scan_options(const PluginSettings& settings, const ModbusSettings& source,
                              std::string& error) {
    ScanOptions options;
    const bool serial = source.link.serial;
    if (const auto unit = settings.integer("unit")) {
        if (*unit < (source.link.rtu_framing ? 1 : 0) || *unit > (serial ? 247 : 255))
            error = "there is no unit " + std::to_string(*unit);
        options.unit = static_cast<std::uint8_t>(*unit);
    }
    if (const auto address = settings.integer("explain")) {
        if (*address < 0 || *address > 65535)
            error = "addresses are 0 to 65535";
        options.explain = static_cast<std::uint16_t>(*address);
    }
    const std::string table = settings.text("table");
    if (!table.empty() && !table_of(table))
        error = "there is no table \"" + table + "\": coil, discrete, holding, input";
    if (const auto named = table_of(table))
        options.tables = {*named};
    else if (options.explain)
        options.tables = {RegisterTable::holding};
    else
        options.tables = {RegisterTable::holding, RegisterTable::input};
    const bool units = !options.unit && !options.explain;
    std::int64_t from = settings.integer("from", units ? 1 : 0);
    std::int64_t to = settings.integer("to", units ? last_unit : from + usual_registers - 1);
    if (units && settings.has("units") && !read_range(settings, from, to))
        error = "`units` is a range of unit ids such as 1-32";
    else if (from < 0 || to < from || to > (units ? 255 : 65535 + std::int64_t{usual_registers}))
        error = "from " + std::to_string(from) + " to " + std::to_string(to) + " is no range";
    options.from = static_cast<std::uint32_t>(std::max<std::int64_t>(from, 0));
    options.to = static_cast<std::uint32_t>(std::clamp<std::int64_t>(to, 0, 65535));
    options.count =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(settings.integer("count", 4), 1, 125));
    options.timeout = settings.duration("timeout", units ? (serial ? serial_timeout : tcp_timeout)
                                                         : source.fallback.timeout);
    options.frames = frames_to_try(settings, source.link.line);
    if (!serial)
        options.frames.resize(1);
    return options;
}

ModbusScan::ModbusScan(ModbusSettings settings, Calls calls, const PluginHost* host)
    : settings_(std::move(settings)), calls_(std::move(calls)), host_(host) {}

ModbusScan::Outcome ModbusScan::run(const ScanOptions& options) {
    timing_ = {options.timeout, settings_.fallback.pause, 0, 0};
    if (!options.unit && !options.explain)
        return scan_units(options);
    unit_ = options.unit.value_or(settings_.units.empty() ? std::uint8_t{1} : settings_.units.front().unit);
    timing_.retries = timing_.silent_retries = 1;
    bus_ = std::make_unique<ModbusBus>(settings_.link, host_);
    if (const auto trouble = bus_->open()) {
        trouble_ = *trouble;
        return trouble->is_interruption ? Outcome::interrupted : Outcome::failed;
    }
    if (options.explain)
        return explain(options);
    Outcome outcome = Outcome::done;
    share_ = 1.0 / static_cast<double>(options.tables.size());
    for (std::size_t i = 0; i < options.tables.size() && outcome == Outcome::done; ++i) {
        part_ = share_ * static_cast<double>(i);
        outcome = scan_registers(options, options.tables[i]);
    }
    return outcome;
}

// A unit that is configured is asked as there, any other one as the source says.
BusRequest ModbusScan::request_for(std::uint8_t unit, RegisterTable table, RegisterSpan span) const {
    const auto known = std::find_if(settings_.units.begin(), settings_.units.end(),
                                    [unit](const UnitSettings& it) { return it.unit == unit; });
    UnitSettings it = known == settings_.units.end() ? settings_.fallback : *known;
    it.unit = unit;
    return read_request(it, table, span);
}

Exchange ModbusScan::ask(std::uint8_t unit, RegisterTable table, RegisterSpan span) {
    const BusRequest request = request_for(unit, table, span);
    Exchange result = bus_->exchange(request, timing_);
    if (result.status == Exchange::Status::lost && !bus_->open())
        result = bus_->exchange(request, timing_);
    // Some devices close the connection in place of an exception.
    if (result.status == Exchange::Status::lost && reopen_soon()) {
        result.status = Exchange::Status::damaged;
        result.misfit.kind = Misfit::Kind::closed;
        result.attempts = 2;
    }
    if (result.status == Exchange::Status::lost)
        trouble_ = bus_->connection().trouble();
    return result;
}

// The pauses between connections grow while nothing is answered; a long one is the end of the scan.
bool ModbusScan::reopen_soon() {
    constexpr std::chrono::seconds most{2};
    constexpr std::chrono::milliseconds slice{20};
    if (settings_.link.serial || bus_->connection().next_open() > std::chrono::steady_clock::now() + most)
        return false;
    while (std::chrono::steady_clock::now() < bus_->connection().next_open()) {
        if (calls_.is_over())
            return false;
        std::this_thread::sleep_for(slice);
    }
    return !bus_->open();
}

// Nothing came for a block: is the unit there at all? One register of the block may keep it silent as a
// whole.
bool ModbusScan::is_there(RegisterSpan span) {
    for (const std::uint32_t address : {span.first, span.first + span.size() / 2, span.end - 1}) {
        if (is_there_ || calls_.is_over())
            break;
        const Exchange result = ask(unit_, table_, {address, address + 1});
        is_there_ =
            result.status == Exchange::Status::answered || result.status == Exchange::Status::exception;
    }
    if (!is_there_ || ++silent_in_a_row_ < most_silent)
        return is_there_;
    // A long stretch of them: what was read before must still be.
    silent_in_a_row_ = 0;
    return known_ && ask(unit_, table_, {*known_, *known_ + 1}).status == Exchange::Status::answered;
}

// Every unit is asked for one register; whatever it says, it is there.
ModbusScan::Outcome ModbusScan::scan_units(const ScanOptions& options) {
    constexpr std::uint8_t target_failed = 11, no_path = 10;
    double done = 0;
    const double all = static_cast<double>(options.frames.size()) * (options.to - options.from + 1);
    for (const LineSettings& frame : options.frames) {
        bus_.reset(); // the port is held exclusively
        settings_.link.line = frame;
        bus_ = std::make_unique<ModbusBus>(settings_.link, host_);
        if (const auto trouble = bus_->open()) {
            trouble_ = *trouble;
            return trouble->is_interruption ? Outcome::interrupted : Outcome::failed;
        }
        for (std::uint32_t unit = options.from; unit <= options.to; ++unit) {
            if (calls_.is_over())
                return Outcome::interrupted;
            const Exchange result = ask(static_cast<std::uint8_t>(unit), RegisterTable::holding, {0, 1});
            calls_.progress(++done / all);
            std::string answer;
            if (result.status == Exchange::Status::lost)
                return Outcome::failed;
            if (result.status == Exchange::Status::answered)
                answer = "value";
            else if (result.status == Exchange::Status::exception && result.code != target_failed &&
                     result.code != no_path)
                answer =
                    "exception " + std::to_string(result.code) + " (" + exception_name(result.code) + ")";
            else if (result.status == Exchange::Status::damaged &&
                     result.misfit.kind == Misfit::Kind::damaged)
                answer = "damaged";
            else if (result.misfit.kind == Misfit::Kind::other_length)
                answer = std::to_string(result.misfit.came) + " bytes for one register";
            if (answer.empty())
                continue;
            std::string line = "{\"unit\":" + std::to_string(unit);
            if (settings_.link.serial)
                line += ",\"baud\":" + std::to_string(frame.baud) + ",\"parity\":\"" +
                        parity_name(frame.parity) + "\"";
            line.append(",\"answer\":\"").append(answer);
            calls_.found(line + "\",\"ms\":" + std::to_string(result.duration_us / 1000) + "}");
        }
    }
    return Outcome::done;
}

ModbusScan::Outcome ModbusScan::scan_registers(const ScanOptions& options, RegisterTable table) {
    table_ = table;
    all_ = {options.from, options.to + 1};
    range_ = {};
    known_.reset();
    const double size = all_.size(); // bisect() makes it 0 where there is no such table
    Outcome outcome = Outcome::done;
    std::uint32_t step = block;
    while (step * request_for(unit_, table, {0, 1}).register_bytes > most_read_bytes && !holds_bits(table))
        step /= 2;
    for (std::uint32_t at = all_.first & ~(step - 1); at < all_.end && outcome == Outcome::done; at += step) {
        const RegisterSpan span{std::max(at, all_.first), std::min(at + step, all_.end)};
        outcome = bisect(span);
        calls_.progress(part_ + share_ * (span.end - all_.first) / size);
    }
    tell_range();
    if (outcome == Outcome::done)
        calls_.progress(part_ + share_);
    return outcome;
}

// Reads a block; if it is refused, its halves. Pairs are tried before single registers, since many meters
// give whole 32-bit values only.
ModbusScan::Outcome ModbusScan::bisect(RegisterSpan span) {
    if (calls_.is_over())
        return Outcome::interrupted;
    const Exchange result = ask(unit_, table_, span);
    if (result.status == Exchange::Status::lost)
        return Outcome::failed;
    if (result.status == Exchange::Status::answered) {
        silent_in_a_row_ = 0;
        is_there_ = true;
        known_ = span.first;
        keep(span);
        return Outcome::done;
    }
    if (result.status == Exchange::Status::exception) {
        silent_in_a_row_ = 0;
        is_there_ = true;
        constexpr std::uint8_t illegal_function = 1;
        if (result.code == illegal_function) {
            all_.end = all_.first; // the table is not there at all
            return Outcome::done;
        }
    } else if (!is_there(span)) {
        if (calls_.is_over())
            return Outcome::interrupted;
        const BusExplanation why =
            explain_silence(request_for(unit_, table_, span), result, timing_, settings_.link);
        trouble_ = {why.code, why.text};
        return Outcome::failed;
    }
    if (span.size() == 1)
        return Outcome::done;
    std::uint32_t half = block / 2;
    while (span.first / half == (span.end - 1) / half)
        half /= 2;
    const std::uint32_t middle = (span.end - 1) / half * half;
    const Outcome left = bisect({span.first, middle});
    return left == Outcome::done ? bisect({middle, span.end}) : left;
}

void ModbusScan::keep(RegisterSpan span) {
    if (range_.size() > 0 && range_.end == span.first) {
        range_.end = span.end;
        return;
    }
    tell_range();
    range_ = span;
}

void ModbusScan::tell_range() {
    if (range_.size() > 0)
        calls_.found("{\"unit\":" + std::to_string(unit_) + ",\"table\":\"" + table_name(table_) +
                     "\",\"first\":" + std::to_string(range_.first) + ",\"last\":" +
                     std::to_string(range_.end - 1) + ",\"count\":" + std::to_string(range_.size()) + "}");
    range_ = {};
}

ModbusScan::Outcome ModbusScan::explain(const ScanOptions& options) {
    const RegisterTable table = options.tables.front();
    const std::uint32_t address = *options.explain;
    Exchange result;
    const std::uint32_t most = holds_bits(table)
                                   ? options.count
                                   : most_read_bytes / request_for(unit_, table, {0, 1}).register_bytes;
    for (std::uint32_t count = std::min({options.count, most, 65536 - address}); count > 0; count /= 2) {
        if (calls_.is_over())
            return Outcome::interrupted;
        result = ask(unit_, table, {address, address + count});
        if (result.status != Exchange::Status::exception)
            break;
    }
    const BusRequest request = request_for(unit_, table, {address, address + 1});
    if (result.status == Exchange::Status::exception) {
        const BusExplanation why = explain_exception(request, result.code);
        trouble_ = {why.code, why.text};
        return Outcome::failed;
    }
    if (result.status != Exchange::Status::answered) {
        const BusExplanation why = explain_silence(request, result, timing_, settings_.link);
        if (result.status != Exchange::Status::lost)
            trouble_ = {why.code, why.text};
        return Outcome::failed;
    }
    std::string words;
    for (const std::uint16_t word : result.words)
        words += (words.empty() ? "\"" : ",\"") + hex(word) + "\"";
    calls_.found("{\"unit\":" + std::to_string(unit_) + ",\"table\":\"" + table_name(table) +
                 "\",\"address\":" + std::to_string(address) + ",\"words\":[" + words + "]}");
    for (const std::string& line :
         explain_words(holds_bits(table) ? std::vector<std::uint16_t>() : result.words))
        calls_.found(line);
    return Outcome::done;
}

} // namespace things
