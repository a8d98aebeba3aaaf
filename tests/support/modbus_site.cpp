// SPDX-License-Identifier: Apache-2.0
#include "support/rtu_line/rtu_line.hpp"
#include "support/tcp_device.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Serial lines with byte timing and TCP devices for scenarios, in a process of their own. Reads one command a
// line and answers each with one line, "ok ..." or "error ...". Ends with its input. All registers describe
// themselves, see ModbusUnits.
//   line NAME BAUD TURNAROUND_US UNIT..     a line; answers with the path of its port; 0 baud: no byte timing
//   tcp NAME tcp|rtu CLIENTS UNIT..         a TCP device for so many clients; answers with its port
//   fault NAME UNIT KIND [EVERY DELAY_MS CODE]   of each EVERYth request to that unit; KIND none: no more
//   hush NAME UNIT ADDRESS                  whatever touches this holding register is never answered
//   forbid NAME UNIT ADDRESS                a holding register that is not there
//   noise NAME HEX                          bytes on the line, now
//   pull NAME, return NAME                  the adapter
//   mute NAME 0|1, drop NAME, stop NAME, start NAME      the TCP device
//   counts NAME                             requests by unit; then what began before the line was silent
namespace {

using namespace things;
using Kind = UnitFault::Kind;
using Fail = std::runtime_error;

const std::map<std::string, Kind> kinds{{"none", Kind::none},
                                        {"silent", Kind::silent},
                                        {"damaged", Kind::damaged},
                                        {"garbage", Kind::garbage},
                                        {"echo", Kind::echo},
                                        {"other_unit", Kind::other_unit},
                                        {"other_function", Kind::other_function},
                                        {"short", Kind::short_frame},
                                        {"twice", Kind::twice},
                                        {"long_count", Kind::long_count},
                                        {"transaction", Kind::bad_transaction},
                                        {"length", Kind::bad_length},
                                        {"split", Kind::split},
                                        {"close", Kind::close},
                                        {"exception", Kind::exception}};

/// One line or device, and what is wrong with its units.
class Place {
public:
    void make_line(unsigned baud, double turnaround_us) {
        line_ = std::make_unique<RtuLine>(baud == 0 ? RtuLine::Timing{}
                                                    : RtuLine::Timing::of(baud, 10, turnaround_us));
        prepare();
    }
    void make_device(bool rtu, int clients, std::uint16_t port) {
        rtu_ = rtu;
        clients_ = clients;
        device_ = std::make_unique<TcpDevice>(rtu, clients, port);
        prepare();
    }
    void add_units(std::istream& in) {
        for (int unit = 0; in >> unit;)
            ids_.push_back(static_cast<std::uint8_t>(unit));
        in.clear();
    }
    void set_fault(std::uint8_t unit, const UnitFault& fault, std::uint64_t every) {
        const std::lock_guard guard(lock_);
        faults_[unit] = {fault, std::max<std::uint64_t>(every, 1)};
    }
    void hush(std::uint8_t unit, unsigned address) {
        const std::lock_guard guard(lock_);
        hushed_.emplace_back(unit, address);
    }
    [[nodiscard]] UnitFault fault_of(const UnitRequest& request) {
        const std::lock_guard guard(lock_);
        for (const auto& [unit, address] : hushed_)
            if (unit == request.unit && request.address <= address &&
                address < request.address + request.count)
                return UnitFault{Kind::silent};
        const auto found = faults_.find(request.unit);
        return found != faults_.end() && ++seen_[request.unit] % found->second.second == 0
                   ? found->second.first
                   : UnitFault{};
    }
    void stop_device() {
        port_ = static_cast<std::uint16_t>(device().port());
        device_.reset();
    }
    void start_device() { make_device(rtu_, clients_, port_); }
    [[nodiscard]] RtuLine& line() {
        if (!line_)
            throw Fail("that is no line");
        return *line_;
    }
    [[nodiscard]] TcpDevice& device() {
        if (!device_)
            throw Fail("that is no device, or it is stopped");
        return *device_;
    }
    [[nodiscard]] ModbusUnits& units() { return line_ ? line_->units : device().units; }
    [[nodiscard]] std::string counts() {
        std::string text;
        for (const auto& [unit, count] : units().counts())
            text += std::to_string(unit) + ":" + std::to_string(count) + " ";
        return text + std::to_string(line_ ? line_->silence_violations() : 0);
    }

private:
    void prepare() {
        for (const std::uint8_t id : ids_)
            units().add(id);
        units().describe();
        units().on_request([this](const UnitRequest& request) { return fault_of(request); });
    }
    std::mutex lock_;
    std::map<std::uint8_t, std::pair<UnitFault, std::uint64_t>> faults_;
    std::map<std::uint8_t, std::uint64_t> seen_;
    std::vector<std::pair<std::uint8_t, unsigned>> hushed_;
    std::vector<std::uint8_t> ids_;
    bool rtu_ = false;
    int clients_ = 0;
    std::uint16_t port_ = 0;
    std::unique_ptr<RtuLine> line_; // last: their threads ask for the faults
    std::unique_ptr<TcpDevice> device_;
};

class Site {
public:
    std::string run(std::istream& in) {
        std::string command, name;
        in >> command >> name;
        if (command == "line" || command == "tcp")
            return make(command, name, in);
        const auto found = places_.find(name);
        if (found == places_.end())
            throw Fail("there is no " + name);
        Place& place = *found->second;
        if (command == "fault")
            return fault(place, in);
        if (command == "noise")
            return noise(place, in);
        if (command == "counts")
            return place.counts();
        int unit = 0, number = 0;
        if (command == "pull")
            place.line().pull();
        else if (command == "return")
            place.line().put_back();
        else if (command == "drop")
            place.device().drop_all();
        else if (command == "stop")
            place.stop_device();
        else if (command == "start")
            place.start_device();
        else if (command == "mute" && in >> number)
            place.device().mute(number != 0);
        else if (command == "hush" && in >> unit >> number)
            place.hush(static_cast<std::uint8_t>(unit), static_cast<unsigned>(number));
        else if (command == "forbid" && in >> unit >> number)
            place.units().forbid(static_cast<std::uint8_t>(unit), 'h', static_cast<std::uint16_t>(number));
        else
            throw Fail("what is " + command + "?");
        return {};
    }

private:
    std::string make(const std::string& command, const std::string& name, std::istream& in) {
        auto place = std::make_unique<Place>();
        Place& made = *place;
        if (command == "line") {
            unsigned baud = 0;
            double turnaround = 0;
            in >> baud >> turnaround;
            made.add_units(in);
            made.make_line(baud, turnaround);
        } else {
            std::string framing;
            int clients = 0;
            in >> framing >> clients;
            made.add_units(in);
            made.make_device(framing == "rtu", clients, 0);
        }
        places_[name] = std::move(place);
        return command == "line" ? made.line().path() : std::to_string(made.device().port());
    }
    static std::string fault(Place& place, std::istream& in) {
        int unit = 0, delay = 0, code = 0;
        std::uint64_t every = 1;
        std::string kind;
        in >> unit >> kind >> every >> delay >> code;
        place.set_fault(static_cast<std::uint8_t>(unit),
                        {kinds.at(kind), std::chrono::milliseconds(delay), static_cast<std::uint8_t>(code)},
                        every);
        return {};
    }
    static std::string noise(Place& place, std::istream& in) {
        std::string hex;
        in >> hex;
        std::vector<std::uint8_t> bytes;
        for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
            bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        place.line().send_noise(bytes);
        return {};
    }
    std::map<std::string, std::unique_ptr<Place>> places_;
};

} // namespace

int main() {
    Site site;
    for (std::string text; std::getline(std::cin, text);) {
        std::istringstream in(text);
        try {
            std::cout << "ok " << site.run(in) << std::endl;
        } catch (const std::exception& error) {
            std::cout << "error " << error.what() << std::endl;
        }
    }
    return 0;
}
