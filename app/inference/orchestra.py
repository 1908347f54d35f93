"""The instruments that the recipes play, as timbres. Formants of voices: Peterson and Barney (1952), rounded."""

from __future__ import annotations

from app.inference.synthesis import Timbre

STRINGS = Timbre(
    rolloff=1.1, attack_s=0.18, release_s=0.3, vibrato_hz=5.2, vibrato_cents=12, voices=4, detune_cents=12, breath=0.02
)
VIOLIN = Timbre(rolloff=0.9, attack_s=0.05, release_s=0.12, vibrato_hz=5.8, vibrato_cents=22, breath=0.02)
CELLO = Timbre(rolloff=1.1, attack_s=0.06, release_s=0.15, vibrato_hz=5.2, vibrato_cents=16, breath=0.02)
BRASS = Timbre(
    rolloff=0.8, formants=((550, 350, 1), (1_300, 500, 0.5)), attack_s=0.08, release_s=0.15, voices=2, detune_cents=6
)
FLUTE = Timbre(rolloff=2.4, attack_s=0.08, release_s=0.1, vibrato_hz=5, vibrato_cents=14, breath=0.08)
CLARINET = Timbre(rolloff=1.2, even=0.1, attack_s=0.03, release_s=0.06, vibrato_cents=5, breath=0.02)
ACCORDION = Timbre(rolloff=0.8, attack_s=0.03, release_s=0.05, voices=2, detune_cents=14)
SOPRANO = Timbre(
    rolloff=0.6,
    formants=((800, 150, 1), (1_150, 200, 0.6), (2_900, 350, 0.9)),
    attack_s=0.1,
    release_s=0.15,
    vibrato_hz=6,
    vibrato_cents=70,
)
VOICE_HIGH = Timbre(
    rolloff=0.7,
    formants=((700, 180, 1), (1_500, 250, 0.5), (2_700, 300, 0.2)),
    attack_s=0.04,
    vibrato_cents=18,
    breath=0.06,
)
VOICE_LOW = Timbre(
    rolloff=0.8,
    formants=((550, 150, 1), (1_100, 200, 0.5), (2_400, 300, 0.15)),
    attack_s=0.05,
    vibrato_cents=14,
    breath=0.06,
)
CHOIR = Timbre(
    rolloff=0.8,
    formants=((600, 150, 1), (1_050, 200, 0.6)),
    attack_s=0.15,
    release_s=0.3,
    vibrato_cents=15,
    voices=4,
    detune_cents=15,
    breath=0.04,
)
PIANO = Timbre(rolloff=1.4, attack_s=0.004, decay_s=0.9, release_s=0.15)
ELECTRIC_PIANO = Timbre(rolloff=2.2, attack_s=0.004, decay_s=1.1, release_s=0.12)
ORGAN = Timbre(rolloff=1.6, attack_s=0.02, release_s=0.05, vibrato_hz=6.5, vibrato_cents=10)
ACOUSTIC_GUITAR = Timbre(rolloff=0.9, attack_s=0.003, decay_s=0.35, release_s=0.1)
CLEAN_GUITAR = Timbre(rolloff=1.2, attack_s=0.003, decay_s=0.7, release_s=0.08)
MUTED_GUITAR = Timbre(rolloff=1.0, attack_s=0.002, decay_s=0.06, release_s=0.03)
DISTORTED_GUITAR = Timbre(rolloff=0.7, attack_s=0.005, decay_s=3, release_s=0.05, voices=2, detune_cents=7, drive=2.5)
BASS_GUITAR = Timbre(rolloff=1.5, attack_s=0.005, decay_s=0.8, release_s=0.05)
DOUBLE_BASS = Timbre(rolloff=1.9, attack_s=0.01, decay_s=0.35, release_s=0.1)
SYNTH_BASS = Timbre(rolloff=1.0, attack_s=0.004, decay_s=0.5, release_s=0.03)
SUPERSAW = Timbre(rolloff=0.9, attack_s=0.01, release_s=0.06, voices=5, detune_cents=22)
SYNTH_PLUCK = Timbre(rolloff=1.0, even=0.3, attack_s=0.002, decay_s=0.15, release_s=0.05)
SAXOPHONE = Timbre(
    rolloff=0.7, formants=((650, 300, 1), (1_600, 500, 0.7)), attack_s=0.03, vibrato_hz=5, vibrato_cents=30, breath=0.05
)
