#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The modbus plugin against programs that we did not write: python3-pymodbus serves, mbpoll looks from the side.

usage: peers_test.py MODBUS_PROBE

Every type in every order is written by the plugin and found in the registers by mbpoll, and written by mbpoll and
read by the plugin, over TCP, over RTU on a pty pair of socat, and over RTU frames in TCP. Exits 77 (skipped) if the
packages are missing.
"""
import inspect
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

TYPES = {"int16": (">h", -1234), "uint16": (">H", 54321), "int32": (">i", -123456789), "uint32": (">I", 3123456789),
         "int64": (">q", -1234567890123456789), "uint64": (">Q", 12345678901234567890),
         "float32": (">f", 21.25), "float64": (">d", -1234.5678)}
ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]
FIRST = 100  # of the registers used


def words_of(kind, order, value):
    """The registers of a value, from first principles."""
    if kind == "bcd16":
        data = bytes.fromhex("%04d" % value)
    elif kind == "bcd32":
        data = bytes.fromhex("%08d" % value)
    else:
        data = struct.pack(TYPES[kind][0], value)
    words = [data[i:i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [w[::-1] for w in words]
    return [int.from_bytes(w, "big") for w in words]


def plan():
    """(type, order, address, value, words) of all points, one after the other."""
    result, address = [], FIRST
    for kind in list(TYPES) + ["bcd16", "bcd32"]:
        for order in ORDERS:
            value = {"bcd16": 1234, "bcd32": 12345678}.get(kind) or TYPES[kind][1]
            words = words_of(kind, order, value)
            result.append((kind, order, address, value, words))
            address += len(words)
    return result


def serve(kind, place, baud=19200):
    from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
    import pymodbus.server as server
    # From 3.8 on (Debian 13) it has no zero_mode, and a block's addresses are one higher than the protocol's.
    has_zero_mode = "zero_mode" in inspect.signature(ModbusSlaveContext.__init__).parameters
    first = 0 if has_zero_mode else 1
    blocks = {name: ModbusSequentialDataBlock(first, [0] * 1000) for name in ("di", "co", "hr", "ir")}
    blocks["di"].setValues(first + 7, [True])
    blocks["ir"].setValues(first + 9, [4242])
    unit = ModbusSlaveContext(**blocks, **({"zero_mode": True} if has_zero_mode else {}))
    context = ModbusServerContext(slaves=unit, single=True)
    try:
        from pymodbus.framer.rtu_framer import ModbusRtuFramer as rtu
        from pymodbus.framer.socket_framer import ModbusSocketFramer as tcp
    except ImportError:
        from pymodbus import FramerType
        rtu, tcp = FramerType.RTU, FramerType.SOCKET
    if kind == "serial":
        server.StartSerialServer(context=context, framer=rtu, port=place, baudrate=int(baud), bytesize=8, parity="N",
                                 stopbits=1)
    else:
        server.StartTcpServer(context=context, framer=rtu if kind == "rtutcp" else tcp,
                              address=("127.0.0.1", int(place)))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit("failed: %s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def probe(executable, source, points):
    command = [executable] + source
    for point in points:
        command += ["/"] + point
    values = {}
    for line in run(command).splitlines():
        if line.startswith("event"):
            sys.exit("the plugin complains: " + line)
        index, _, value = line.partition(" ")
        values[int(index)] = value
    return values


def mbpoll_read(target, first, count):
    out = run(["mbpoll", "-a", "1", "-0", "-1", "-q", "-t", "4:hex", "-r", str(first), "-c", str(count)] + target)
    return [int(v, 16) for v in re.findall(r"^\[\d+\]:\s+0x([0-9A-Fa-f]+)", out, re.M)]


def mbpoll_write(target, first, words):
    run(["mbpoll", "-a", "1", "-0", "-1", "-q", "-t", "4:hex", "-r", str(first)] + target + ["0x%04X" % w for w in words])


def expect(what, got, wanted):
    if got != wanted:
        sys.exit("%s: got %s, wanted %s" % (what, got, wanted))


def check(name, executable, source, target):
    points = plan()
    written = probe(executable, source, [["holding=%d" % a, "type=" + k, "order=" + o, "write=%s" % v]
                                         for k, o, a, v, _ in points])
    for index, (kind, order, address, value, words) in enumerate(points):
        label = "%s %s %s" % (name, kind, order)
        expect(label + " read back", float(written[index]) if "float" in kind else int(written[index]), value)
        if target:
            expect(label + " seen by mbpoll", mbpoll_read(target, address, len(words)), words)
    if target:
        # everything one further on, so that old values cannot pass
        shifted = [(k, o, a, v + 1) for k, o, a, v, _ in points]
        for kind, order, address, value in shifted:
            mbpoll_write(target, address, words_of(kind, order, value))
        values = probe(executable, source, [["holding=%d" % a, "type=" + k, "order=" + o] for k, o, a, _ in shifted])
        for index, (kind, order, _, value) in enumerate(shifted):
            expect("%s %s %s written by mbpoll" % (name, kind, order),
                   float(values[index]) if "float" in kind else int(values[index]), value)
    values = probe(executable, source, [["coil=3", "write=true"], ["discrete=7"], ["input=9"],
                                        ["coil=4", "write=true", "write_function=15"],
                                        ["holding=10", "write=77", "write_function=16"],
                                        ["holding=11", "type=string", "length=4", "write=Meter 7"],
                                        ["holding=20", "type=int16", "scale=0.1", "write=-21.5"],
                                        ["holding=21", "bit=3", "write=true"]])
    expect(name + " other tables", list(values.values()),
           ["true", "true", "4242", "true", "77", "Meter 7", "-21.5", "true"])
    if target:
        expect(name + " scaled", mbpoll_read(target, 20, 2), [65536 - 215, 8])
    print("ok %s: %d combinations of type and order" % (name, len(points)))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("timed out waiting for " + what)
        time.sleep(0.05)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--serve":
        return serve(*sys.argv[2:])
    missing = [name for name in ("mbpoll", "socat") if not shutil.which(name)]
    try:
        import pymodbus.server  # noqa: F401
    except ImportError:
        missing.append("python3-pymodbus python3-serial python3-serial-asyncio")
    if missing:
        print("skipped: install " + " ".join(missing))
        return 77
    executable = sys.argv[1]
    children = []
    folder = tempfile.mkdtemp()
    try:
        def start(*command):
            children.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        for kind in ("tcp", "rtutcp"):
            port = free_port()
            start(sys.executable, os.path.abspath(__file__), "--serve", kind, str(port))
            wait_for(lambda: listens(port), "the " + kind + " server")
            source = ["host=127.0.0.1", "tcp_port=%d" % port, "timeout=3000"]
            if kind == "rtutcp":
                check("RTU over TCP", executable, source + ["framing=rtu"], None)
            else:
                check("TCP", executable, source, ["-m", "tcp", "-p", str(port), "127.0.0.1"])
        near, far = os.path.join(folder, "near"), os.path.join(folder, "far")
        start("socat", "pty,raw,echo=0,link=" + near, "pty,raw,echo=0,link=" + far)
        wait_for(lambda: os.path.exists(near) and os.path.exists(far), "the pty pair")
        start(sys.executable, os.path.abspath(__file__), "--serve", "serial", far)
        source = ["port=" + near, "baud=19200", "timeout=3000"]
        wait_for(lambda: subprocess.run([executable] + source + ["retries=0", "timeout=300", "/", "holding=1"],
                                        capture_output=True, text=True).stdout == "0 0\n", "the serial server")
        check("RTU", executable, source, ["-m", "rtu", "-b", "19200", "-P", "none", near])
        return 0
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
            child.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
