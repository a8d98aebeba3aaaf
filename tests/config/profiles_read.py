#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""profiles_read.py GATEWAY PLUGIN-DIR: every shipped Modbus profile, read from a device that is made of its map.

For each map in packaging/devices a Modbus TCP server of its own is filled with a known value in every register of the
map, as the map says it is encoded (this file shares no code with the plugin nor with make-profiles' conversion). Over them lie
the words of EXAMPLES, which are not made from the map. The
real executable then reads the device with the shipped profile, and name, unit and value of every point must be what
the map says. The server keeps the limits of the product: functions, size of a request, even addresses, and registers
that do not exist. Needs python3-yaml.
"""
import importlib.machinery
import json
import pathlib
import re
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZES = {'bool': 1, 'int16': 1, 'uint16': 1, 'int32': 2, 'uint32': 2, 'float32': 2, 'bcd32': 2, 'int64': 4, 'uint64': 4,
         'float64': 4, 'bcd16': 1}
CODES = {'int16': '>h', 'uint16': '>H', 'int32': '>i', 'uint32': '>I', 'float32': '>f', 'int64': '>q', 'uint64': '>Q',
         'float64': '>d'}
# What a value in the map's unit is in the unit of the profile.
FACTORS = {('kW', 'W'): 1000, ('kvar', 'var'): 1000, ('kVA', 'VA'): 1000, ('kWh', 'Wh'): 1000, ('kvarh', 'varh'): 1000,
           ('kVAh', 'VAh'): 1000, ('%', '/100'): 1, ('%', '%EL'): 1, ('hPa', 'Pa'): 100, ('mm', 'm'): 0.001}
TEXT_FACTORS = {('VAh', 'VAh'): 1, ('MOhm', 'Ohm'): 1e6}
SCALE_FACTOR = -1  # in every scale register
# Words on the wire and what they mean, worked out by hand and not from the map: profile, table, address, words in
# hexadecimal, then the points.
EXAMPLES = [
    ('eastron-sdm630-v2', 'input', 0, '4366 3334', {'electricPotentialL1': 230.20001}),
    ('senseair-s8', 'input', 3, '0190', {'CO2Concentration': 400}),
    ('renke-rs-ws-n01', 'holding', 0, '0292 FF9B', {'humidity': 65.8, 'temperature': -10.1}),
    ('generic-xy-md02', 'input', 1, '0131 0222', {'temperature': 30.5, 'humidity': 54.6}),
    ('peacefair-pzem-016', 'input', 0, '0898 03E8 0000 0898 0000', {'electricPotential': 220, 'electricCurrent': 1, 'power': 220}),
    ('l-mag-flowmeter', 'input', 4112, 'C41C 6000', {'flow': -625.5}),
    ('carlo-gavazzi-em24-din', 'input', 0, '08FC 0000', {'electricPotentialL1': 230}),
    # A kilowatt fed into the grid is negative, whichever way the device counts; a charging battery is positive.
    ('huawei-sun2000-full', 'holding', 37113, '0000 03E8', {'meterPower': -1000}),
    ('solaredge-inverter-full', 'holding', 40206, '0064 FFFF FFFF FFFF 0001', {'meterPower': -1000, 'meterPowerL1': 10,
                                                                               'meterPowerL2': 10, 'meterPowerL3': 10}),
    ('victron-gx', 'holding', 820, 'FC18', {'gridPowerL1': -1000}),
    ('deye-hybrid-1p', 'holding', 190, 'FC18', {'batteryPower': 1000}),
    ('eastron-sdm630-v2', 'input', 12, 'C47A 0000', {'powerL1': -1000}),
    ('growatt-tl-xh', 'input', 3028, '0000 2710', {'apparentPowerL1': 1000}),
    # Models of floats: 0x459C4000 is 5000, 0x42480000 is 50. Offsets are from the id of the model.
    ('sunspec-inverter-113', 'holding', 22, '459C 4000 4248 0000', {'power': 5000, 'frequency': 50}),
    ('sunspec-meter-213', 'holding', 26, '4248 0000 C47A 0000', {'frequency': 50, 'power': -1000}),
]
MAKER = importlib.machinery.SourceFileLoader('make_profiles', str(ROOT / 'packaging/make-profiles')).load_module()


def raw_value(register, index):
    """A value that fits the type, differs from point to point, and is none of the invalid ones."""
    kind = register['type']
    if kind == 'string':
        return f'T{index:03d}'[:2 * register['length']]
    if kind == 'bool':
        return index % 2
    if 'labels' in register:
        keys = [int(key) for key in register['labels'] if int(key) not in register.get('invalid', [])]
        return keys[index % len(keys)]
    if kind in ('float32', 'float64'):
        return index * 1.5 + 0.25
    value = {'int16': -300 - index, 'uint16': 40000 + index, 'int32': -70000 - index, 'uint32': 3_000_000_000 + index,
             'int64': -(2 ** 40) - index, 'uint64': 2 ** 41 + index, 'bcd16': 1000 + index, 'bcd32': 12340000 + index}[kind]
    return value


def is_scale(register):
    return register.get('role') == 'scale' and register['type'] == 'int16'


def words_of(register, value):
    kind = register['type']
    if kind == 'string':
        data = value.encode().ljust(2 * register['length'], b'\0')
    elif kind.startswith('bcd'):
        data = bytes.fromhex(f'{value:0{4 * SIZES[kind]}d}')
    elif kind == 'bool':
        data = struct.pack('>H', (1 << register.get('bit', 0)) if value else 0)
    else:
        data = struct.pack(CODES[kind], value)
    words = [int.from_bytes(data[i:i + 2], 'big') for i in range(0, len(data), 2)]
    return words[::-1] if register.get('order') == 'CDAB' and kind != 'string' else words


class Device:
    """Registers by (unit id, table), and the limits of the product."""

    def __init__(self, limits):
        self.cells = {}
        self.functions = set(limits.get('read_functions', [1, 2, 3, 4])) | {1, 2}
        self.most = limits.get('max_read_registers', 125)
        self.even = limits.get('even_start_and_count', False)

    def put(self, unit, table, address, words):
        for i, word in enumerate(words):
            self.cells[unit, table, address + i] = self.cells.get((unit, table, address + i), 0) | word

    def answer(self, unit, pdu):
        function, address, count = struct.unpack('>BHH', pdu[:5])
        table = {1: 'coil', 2: 'discrete', 3: 'holding', 4: 'input'}.get(function)
        if table is None or function not in self.functions:
            return bytes([function | 0x80, 1])
        cells = [self.cells.get((unit, table, address + i)) for i in range(count)]
        if function > 2 and (count > self.most or (self.even and (address % 2 or count % 2))):
            return bytes([function | 0x80, 3])
        if None in cells:
            return bytes([function | 0x80, 2])
        if function <= 2:
            bits = sum(bool(cell) << i for i, cell in enumerate(cells))
            data = bits.to_bytes((count + 7) // 8, 'little')
        else:
            data = struct.pack(f'>{count}H', *cells)
        return bytes([function, len(data)]) + data


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            head = self.receive(7)
            if not head:
                return
            transaction, _, length, unit = struct.unpack('>HHHB', head)
            answer = self.server.device.answer(unit, self.receive(length - 1))
            self.request.sendall(struct.pack('>HHHB', transaction, 0, len(answer) + 1, unit) + answer)

    def receive(self, count):
        data = b''
        while len(data) < count:
            try:
                part = self.request.recv(count - len(data))
            except ConnectionError:
                return b''
            if not part:
                return b''
            data += part
        return data


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def units_of(product):
    link = product.get('link') or {}
    for kind in ('serial', 'tcp'):
        unit = (link.get(kind) or {}).get('unit_id')
        if isinstance(unit, int):
            return unit
    return 1


def scaled(register, raw):
    if isinstance(raw, str) or register['type'] == 'bool':
        return raw
    if 'mask' in register:
        mask = register['mask']
        raw = (raw & mask) >> ((mask & -mask).bit_length() - 1)
    if register['type'] == 'float32':
        raw = struct.unpack('>f', struct.pack('>f', raw))[0]
    value = raw * register.get('scale', 1) + register.get('offset', 0)
    return value * 10.0 ** SCALE_FACTOR if 'scale_from' in register else value


def fill_plain(product, device, unit):
    """Every register of the map; returns what is expected by (unit id, table, address, bit)."""
    expected = {}
    for index, register in enumerate(product['registers']):
        if register['access'] == 'wo' or register.get('role') in ('config', 'control', 'identity') or register.get('unverified'):
            continue
        of = (product.get('unit_ids') or {}).get(register.get('device'), unit)
        raw = SCALE_FACTOR if is_scale(register) else raw_value(register, index)
        device.put(of, register['table'], register['address'], words_of(register, raw))
        expected[of, register['table'], register['address'], register.get('bit')] = (register, raw)
    fill_blocks(product, device, unit)
    return expected


def fill_blocks(product, device, unit):
    """A value and its scale factor lie in one SunSpec model, which has every register between them."""
    places = {register['name']: register['address'] for register in product['registers']}
    for register in product['registers']:
        if 'scale_from' in register:
            between = sorted((register['address'], places[register['scale_from']]))
            for address in range(*between):
                device.put(unit, register['table'], address, [0])


def fill_sunspec(product, device, model):
    """A chain of models at one of the three places where it may begin: common, a foreign one, this one, end."""
    begin = (40000, 50000, 0)[model % 3]
    foreign = [64321, 7] + [0x5375] * 7
    base = begin + 2 + 68 + len(foreign)
    registers = list(product['registers'])
    length = {10: 50, 11: 60, 16: 88, 20: 105, 21: 124}[model // 10]
    device.put(1, 'holding', begin, [0x5375, 0x6E53, 1, 66] + [0] * 66 + foreign)
    device.put(1, 'holding', base, [0] * (length + 2) + [0xFFFF, 0])
    device.cells[1, 'holding', base] = model
    device.cells[1, 'holding', base + 1] = length
    expected = {}
    modules = 4 if model == 160 else 1
    for index, register in enumerate(registers):
        if register['name'] in ('model_id', 'model_length'):
            continue
        repeated = register['name'].startswith('module1_')
        for module in range(modules if repeated else 1):
            raw = SCALE_FACTOR if is_scale(register) else raw_value(register, index + 20 * module)
            if register['name'] == 'module_count':
                raw = modules
            address = register['address'] + 20 * module
            device.put(1, 'holding', base + address, words_of(register, raw))
            name = register['name'].replace('module1', f'module{module + 1}')
            expected[name] = (register, raw)
    return expected


def expected_of(point, found):
    register, raw = found
    if 'labels' in register:
        words = {int(key): word for key, word in register['labels'].items()}
        return str(words[raw])
    value = scaled(register, raw)
    if isinstance(value, str):
        return value
    if register['type'] == 'bool':
        return bool(value)
    have, want = register.get('unit'), point.get('unit')
    if 'unit_text' in register:
        return value * TEXT_FACTORS.get((register['unit_text'], want), 1)
    if have == want:
        return value
    return value * FACTORS[have, want]


def sunspec_name(point_name, expected):
    """The register of the map that got this name; SunSpec points have no address to go by."""
    return next(name for name in expected if MAKER.point_name(name) == point_name)


def find_expected(point, profile, expected, unit):
    if 'sunspec' in point:
        return expected[sunspec_name(point['name'], expected)]
    table = next(key for key in ('holding', 'input', 'coil', 'discrete') if key in point)
    return expected[point.get('unit_id', unit), table, point[table], point.get('bit')]


def same(value, wanted):
    if isinstance(wanted, (bool, str)) or isinstance(value, (bool, str)):
        return value == wanted
    return value is not None and abs(value - wanted) <= 1e-9 * max(1, abs(wanted))


def map_of(profile_file):
    """The map that the head of a made profile names."""
    return re.search(r'from (packaging/devices/\S+\.yaml)', profile_file.read_text())[1]


def put_examples(profile, device, wanted, unit):
    for stem, table, address, words, points in EXAMPLES:
        if stem != profile:
            continue
        if stem.startswith('sunspec-'):  # the model comes behind the common model and a foreign one
            model = int(stem.rsplit('-', 1)[1])
            address += (40000, 50000, 0)[model % 3] + 2 + 68 + 9
        for offset, word in enumerate(words.split()):
            device.cells[unit, table, address + offset] = int(word, 16)
        for name, value in points.items():
            wanted[name] = (wanted[name][0], value)


def prepare(profile_file):
    """A server for one profile, and what its points must say."""
    profile = yaml.load(profile_file.read_text(), MAKER.LOADER)
    product = yaml.load((ROOT / map_of(profile_file)).read_text(), MAKER.LOADER)
    device = Device(product.get('limits') or {})
    unit = units_of(product)
    if product.get('relative'):
        expected = fill_sunspec(product, device, int(profile_file.stem.rsplit('-', 1)[1]))
    else:
        expected = fill_plain(product, device, unit)
    wanted = {point['name']: (point.get('unit', ''), expected_of(point, find_expected(point, profile, expected, unit)))
              for point in profile['points']}
    put_examples(profile_file.stem, device, wanted, unit)
    server = Server(('127.0.0.1', 0), Handler)
    server.device = device
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, wanted


def write_config(folder, servers):
    lines = ['control: {socket: none.sock}', 'sources:']
    for name, server in servers.items():
        lines.append(f'  {name}: {{plugin: modbus, host: 127.0.0.1, tcp_port: {server.server_address[1]}}}')
    lines.append('devices:')
    for index, name in enumerate(servers):
        lines.append(f'  - {{name: {name}, source: {name}, profile: {name}, pause: 0s, '
                     f'secret: abcdefghijklmnopqrstuvwxyzABCD, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e{index:04x}}}')
    config = folder / 'gateway.yaml'
    config.write_text('\n'.join(lines) + '\n')
    config.chmod(0o600)
    (folder / 'profiles').symlink_to(ROOT / 'etc/profiles')
    return config


def compare(name, answer, wanted):
    mistakes = []
    points = {point['name']: point for point in json.loads(answer.stdout or '{"points":[]}')['points']}
    for point, (unit, value) in wanted.items():
        found = points.get(point)
        if found is None:
            mistakes.append(f'{name}: {point}: not read; {answer.stderr.strip()[:200]}')
        elif found['unit'] != unit or not same(found['value'], value):
            mistakes.append(f"{name}: {point}: wanted {value!r} {unit}, got {found['value']!r} {found['unit']} "
                            f"(raw {found['raw']}, {found['error']})")
    return mistakes


def main():
    gateway, plugins = sys.argv[1:3]
    only = sys.argv[3:]
    prepared = {}
    for file in sorted((ROOT / 'etc/profiles').glob('*.yaml')):
        if file.stem != 'dsmr' and (not only or file.stem in only):
            prepared[file.stem] = prepare(file)
    mistakes = []
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(pathlib.Path(folder), {name: server for name, (server, _) in prepared.items()})
        for name, (_, wanted) in prepared.items():
            answer = subprocess.run([gateway, 'read', name, '--json', '--config', str(config), '--plugin-dir', plugins],
                                    capture_output=True, text=True, timeout=120, check=False)
            mistakes += compare(name, answer, wanted)
    for mistake in mistakes:
        print(mistake)
    points = sum(len(wanted) for _, wanted in prepared.values())
    print(f'{len(prepared)} profiles, {points} points, {len(mistakes)} mistakes')
    return 1 if mistakes or points == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
