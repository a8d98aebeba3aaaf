// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

// The Modbus units of a test: registers, illegal addresses, faults, and a log of what was asked. Written
// apart from the plugin's own frames, so that one mistake cannot hide the other. Any thread.
namespace things {

struct UnitRequest {
    std::uint8_t unit = 0, function = 0;
    std::uint16_t address = 0, count = 0;
    std::uint64_t number = 0; ///< counts up over all units
};

/// What goes wrong with one answer.
struct UnitFault {
    enum class Kind : std::uint8_t {
        none,
        silent,
        damaged,    ///< a bit is flipped after the checksum was made
        garbage,    ///< noise before the answer
        echo,       ///< the request comes back before the answer
        other_unit, ///< another unit's number in the answer
        other_function,
        short_frame, ///< ends in the middle
        twice,
        long_count,      ///< byte count and length do not fit
        bad_transaction, ///< TCP
        bad_length,      ///< TCP: length field of 0
        split,           ///< TCP: in two segments
        close,           ///< TCP: connection closed instead
        close_after,     ///< TCP: connection closed behind the answer
        exception        ///< with `code`
    };
    Kind kind = Kind::none;
    std::chrono::milliseconds delay{0};
    std::uint8_t code = 0;
};

class ModbusUnits {
public:
    using Words = std::vector<std::uint16_t>;
    /// Units that are not named never answer. Every table has 65536 places of 0.
    void add(std::uint8_t unit);
    void set(std::uint8_t unit, char table, std::uint16_t address, const Words& values); ///< table c d h i
    [[nodiscard]] Words get(std::uint8_t unit, char table, std::uint16_t address, std::uint16_t count);
    /// Registers no longer hold what was set: any four from an address that is a multiple of four are a
    /// uint64 that says who they are, unit << 45 | address / 4 << 32 | milliseconds of the Unix epoch (32
    /// bits), and fits a double. Whatever is mixed up or old shows.
    void describe();
    /// Answers exception 2 to whatever touches this address.
    void forbid(std::uint8_t unit, char table, std::uint16_t address, std::uint8_t code = 2);
    void allow(std::uint8_t unit, char table, std::uint16_t address);
    /// No unit answers more registers than this (exception 3).
    void limit(std::uint16_t most);
    /// Functions that no unit knows (exception 1).
    void lack(std::uint8_t function);
    /// Every unit answers this request with these bytes: function and data, in hexadecimal.
    void script(const std::string& request, const std::string& answer);
    /// Decides on the fault of each request; called on the server's thread, with the lock held.
    void on_request(std::function<UnitFault(const UnitRequest&)> decide);
    /// "UNIT FUNCTION ADDRESS+COUNT" of every request, since the last call.
    std::vector<std::string> take_log();
    [[nodiscard]] std::map<std::uint8_t, std::uint64_t> counts(); ///< requests by unit

    /// The answer (function and data) to a request; nothing if the unit is not there.
    struct Reply {
        std::vector<std::uint8_t> pdu;
        UnitFault fault;
    };
    std::optional<Reply> answer(std::uint8_t unit, const std::vector<std::uint8_t>& pdu);

private:
    struct Unit {
        std::map<char, Words> tables;
        std::map<std::pair<char, std::uint16_t>, std::uint8_t> forbidden;
    };
    [[nodiscard]] std::vector<std::uint8_t> serve(Unit& unit, const UnitRequest& request,
                                                  const std::vector<std::uint8_t>& pdu) const;
    std::mutex lock_;
    std::map<std::uint8_t, Unit> units_;
    std::map<std::vector<std::uint8_t>, std::vector<std::uint8_t>> scripts_;
    std::set<std::uint8_t> lacking_;
    std::uint16_t most_ = 2000;
    std::function<UnitFault(const UnitRequest&)> decide_;
    std::vector<std::string> log_;
    std::map<std::uint8_t, std::uint64_t> counts_;
    std::uint64_t number_ = 0;
    bool describes_ = false;
};

} // namespace things
