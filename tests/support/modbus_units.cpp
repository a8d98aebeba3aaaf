// SPDX-License-Identifier: Apache-2.0
#include "support/modbus_units.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::size_t places = 65536;
constexpr std::size_t most_logged = 100000;

char table_of(std::uint8_t function) {
    switch (function) {
    case 1:
    case 5:
    case 15:
        return 'c';
    case 2:
        return 'd';
    case 4:
        return 'i';
    default:
        return 'h';
    }
}

std::uint16_t word(const std::vector<std::uint8_t>& pdu, std::size_t at) {
    return at + 1 < pdu.size() ? static_cast<std::uint16_t>(pdu[at] * 256 + pdu[at + 1]) : std::uint16_t{0};
}

std::uint16_t described(std::uint8_t unit, std::uint32_t address, std::int64_t ms) {
    const std::uint64_t value = std::uint64_t{unit} << 45 | std::uint64_t{address / 4 & 0x1FFFU} << 32 |
                                static_cast<std::uint32_t>(ms);
    return static_cast<std::uint16_t>(value >> (48 - 16 * (address % 4)));
}

std::int64_t wall_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::vector<std::uint8_t> no(std::uint8_t function, std::uint8_t code) {
    return {static_cast<std::uint8_t>(function + 128), code};
}

} // namespace

void ModbusUnits::add(std::uint8_t unit) {
    const std::lock_guard guard(lock_);
    for (const char table : {'c', 'd', 'h', 'i'})
        units_[unit].tables[table].resize(places);
}

void ModbusUnits::set(std::uint8_t unit, char table, std::uint16_t address, const Words& values) {
    const std::lock_guard guard(lock_);
    std::copy(values.begin(), values.end(), units_.at(unit).tables.at(table).begin() + address);
}

ModbusUnits::Words ModbusUnits::get(std::uint8_t unit, char table, std::uint16_t address,
                                    std::uint16_t count) {
    const std::lock_guard guard(lock_);
    const auto at = units_.at(unit).tables.at(table).begin() + address;
    return {at, at + count};
}

void ModbusUnits::describe() {
    const std::lock_guard guard(lock_);
    describes_ = true;
}

void ModbusUnits::forbid(std::uint8_t unit, char table, std::uint16_t address, std::uint8_t code) {
    const std::lock_guard guard(lock_);
    units_.at(unit).forbidden[{table, address}] = code;
}

void ModbusUnits::allow(std::uint8_t unit, char table, std::uint16_t address) {
    const std::lock_guard guard(lock_);
    units_.at(unit).forbidden.erase({table, address});
}

void ModbusUnits::limit(std::uint16_t most) {
    const std::lock_guard guard(lock_);
    most_ = most;
}

void ModbusUnits::lack(std::uint8_t function) {
    const std::lock_guard guard(lock_);
    lacking_.insert(function);
}

void ModbusUnits::on_request(std::function<UnitFault(const UnitRequest&)> decide) {
    const std::lock_guard guard(lock_);
    decide_ = std::move(decide);
}

std::vector<std::string> ModbusUnits::take_log() {
    const std::lock_guard guard(lock_);
    return std::exchange(log_, {});
}

std::map<std::uint8_t, std::uint64_t> ModbusUnits::counts() {
    const std::lock_guard guard(lock_);
    return counts_;
}

std::vector<std::uint8_t> ModbusUnits::serve(Unit& unit, const UnitRequest& request,
                                             const std::vector<std::uint8_t>& pdu) const {
    const std::uint8_t function = request.function;
    const char table = table_of(function);
    Words& words = unit.tables.at(table);
    if (lacking_.count(function) > 0 || (function > 6 && function != 15 && function != 16) || function == 0)
        return no(function, 1);
    const auto bad = unit.forbidden.lower_bound({table, request.address});
    if (bad != unit.forbidden.end() && bad->first.first == table &&
        bad->first.second < request.address + request.count)
        return no(function, bad->second);
    if (request.address + request.count > static_cast<int>(places))
        return no(function, 2);
    if (request.count == 0 || request.count > most_ ||
        (function > 2 && function != 15 && request.count > 125))
        return no(function, 3);
    std::vector<std::uint8_t> reply{function};
    if (function <= 2) {
        reply.push_back(static_cast<std::uint8_t>((request.count + 7) / 8));
        reply.resize(2U + reply[1]);
        for (std::size_t i = 0; i < request.count; ++i)
            if (words[request.address + i] != 0)
                reply[2 + i / 8] = static_cast<std::uint8_t>(reply[2 + i / 8] | 1 << i % 8);
        return reply;
    }
    if (function <= 4) {
        reply.push_back(static_cast<std::uint8_t>(2 * request.count));
        const std::int64_t now = wall_ms();
        for (std::uint32_t a = request.address; a < request.address + request.count; ++a) {
            const std::uint16_t w = describes_ ? described(request.unit, a, now) : words[a];
            reply.push_back(static_cast<std::uint8_t>(w / 256));
            reply.push_back(static_cast<std::uint8_t>(w % 256));
        }
        return reply;
    }
    for (std::size_t i = 0; i < request.count; ++i) {
        std::uint16_t& place = words[request.address + i];
        if (function == 5)
            place = word(pdu, 3) == 0xFF00 ? 1 : 0;
        else if (function == 6)
            place = word(pdu, 3);
        else if (function == 15)
            place = static_cast<std::uint16_t>(pdu.at(6 + i / 8) >> i % 8 & 1);
        else
            place = word(pdu, 6 + 2 * i);
    }
    return {pdu.begin(), pdu.begin() + 5};
}

void ModbusUnits::script(const std::string& request, const std::string& answer) {
    const auto bytes_of = [](const std::string& hex) {
        std::vector<std::uint8_t> bytes;
        std::string digits;
        for (const char c : hex)
            if (c != ' ' && (digits += c).size() == 2) {
                bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
                digits.clear();
            }
        return bytes;
    };
    const std::lock_guard guard(lock_);
    scripts_[bytes_of(request)] = bytes_of(answer);
}

std::optional<ModbusUnits::Reply> ModbusUnits::answer(std::uint8_t id, const std::vector<std::uint8_t>& pdu) {
    const std::lock_guard guard(lock_);
    UnitRequest request;
    request.unit = id;
    request.function = pdu.at(0);
    request.address = word(pdu, 1);
    request.count = request.function == 5 || request.function == 6 ? std::uint16_t{1} : word(pdu, 3);
    request.number = ++number_;
    ++counts_[id];
    if (log_.size() < most_logged)
        log_.push_back(std::to_string(id) + " " + std::to_string(request.function) + " " +
                       std::to_string(request.address) + "+" + std::to_string(request.count));
    const auto unit = units_.find(id);
    if (unit == units_.end())
        return std::nullopt;
    Reply reply;
    if (decide_)
        reply.fault = decide_(request);
    if (const auto script = scripts_.find(pdu); script != scripts_.end())
        reply.pdu = script->second;
    else if (reply.fault.kind == UnitFault::Kind::exception)
        reply.pdu = no(request.function, reply.fault.code);
    else
        reply.pdu = serve(unit->second, request, pdu);
    return reply;
}

} // namespace things
