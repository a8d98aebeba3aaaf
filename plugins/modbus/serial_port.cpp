// SPDX-License-Identifier: Apache-2.0
#include "modbus/serial_port.hpp"

#include <algorithm>
#include <array>
#include <asm/termbits.h> // termios2; excludes termios.h
#include <cerrno>
#include <cstring>
#include <modbus/modbus.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

namespace things {

namespace {

// The rates that libmodbus sets; others go through termios2.
constexpr std::array<std::uint32_t, 23> known_rates{
    110,    300,    600,    1200,   2400,    4800,    9600,    19200,   38400,   57600,   115200, 230400,
    460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2500000, 3000000, 3500000, 4000000};

// The kernel may be 50 us late for a thread by default, for each wait: on a fast line with short requests
// that is a hundredth of the cycle.
constexpr unsigned long timer_slack_ns = 1000;

bool set_any_rate(int fd, std::uint32_t baud) {
    struct termios2 mode {};
    if (ioctl(fd, TCGETS2, &mode) < 0)
        return false;
    mode.c_cflag = (mode.c_cflag & ~static_cast<tcflag_t>(CBAUD)) | BOTHER;
    mode.c_ispeed = baud;
    mode.c_ospeed = baud;
    return ioctl(fd, TCSETS2, &mode) == 0;
}

} // namespace

void SerialPort::Closer::operator()(_modbus* context) const {
    modbus_close(context);
    modbus_free(context);
}

SerialPort::SerialPort(LinkSettings settings) : settings_(std::move(settings)) {}

SerialPort::~SerialPort() = default;

std::optional<LinkTrouble> SerialPort::open(SteadyTime, int) {
    const SerialFrame& frame = settings_.frame;
    close();
    prctl(PR_SET_TIMERSLACK, timer_slack_ns);
    context_.reset(modbus_new_rtu(settings_.port.c_str(), static_cast<int>(frame.baud), frame.parity,
                                  frame.data_bits, frame.stop_bits));
    if (!context_ || modbus_connect(context_.get()) < 0) {
        LinkTrouble trouble = explain(errno);
        close();
        return trouble;
    }
    fd_ = modbus_get_socket(context_.get());
    if (auto trouble = claim()) {
        close();
        return trouble;
    }
    return std::nullopt;
}

std::optional<LinkTrouble> SerialPort::claim() {
    const std::uint32_t baud = settings_.frame.baud;
    if (flock(fd_, LOCK_EX | LOCK_NB) < 0)
        return LinkTrouble{"port_busy", settings_.port +
                                            " is in use by another program. Stop that program, or "
                                            "find it with: fuser -v " +
                                            settings_.port};
    ioctl(fd_, TIOCEXCL);
    if (std::find(known_rates.begin(), known_rates.end(), baud) == known_rates.end() &&
        !set_any_rate(fd_, baud))
        return LinkTrouble{"port_mode", settings_.port + " cannot run at " + std::to_string(baud) +
                                            " baud (" + std::strerror(errno) +
                                            "). Check `baud` against the data sheet of the adapter."};
    if (settings_.rs485 && modbus_rtu_set_serial_mode(context_.get(), MODBUS_RTU_RS485) < 0)
        return LinkTrouble{"port_mode",
                           settings_.port + " has no RS-485 mode in its driver (" + std::strerror(errno) +
                               "). Take `rs485` away: USB adapters switch direction by themselves."};
    return std::nullopt;
}

void SerialPort::close() {
    context_.reset();
    fd_ = -1;
}

LinkTrouble SerialPort::explain(int error) const {
    const std::string reason = error == 0 ? "end of file" : std::strerror(error);
    switch (error) {
    case ENOENT:
        return {"port_missing", settings_.port + " does not exist. Is the adapter plugged in? Look in "
                                                 "/dev/serial/by-id for the name it has now."};
    case EACCES:
    case EPERM:
        return {"port_denied",
                settings_.port + " may not be opened (" + reason +
                    "). The user of the gateway must be in the group that owns it, usually dialout."};
    case EBUSY:
        return {"port_busy", settings_.port + " is in use by another program (" + reason +
                                 "). Find it with: fuser -v " + settings_.port};
    case 0:
    case EIO:
    case ENXIO:
    case ENODEV:
        return {"port_lost", settings_.port + " went away (" + reason +
                                 "): the adapter was pulled out or lost its supply. It is opened again as "
                                 "soon as it is back."};
    case EINVAL:
    case ENOTTY:
        return {"port_mode", settings_.port + " cannot be set to " + settings_.text() + " (" + reason +
                                 "). Is it a serial port, and does it know this speed?"};
    default:
        return {"port_failed", settings_.port + " failed: " + reason + "."};
    }
}

} // namespace things
