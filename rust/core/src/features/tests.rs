use super::*;

fn prices(rows: usize) -> Vec<f64> {
    let mut seed = 42_u64;
    (0..rows)
        .map(|i| {
            seed = (1_103_515_245 * seed + 12_345) % (1 << 31);
            let noise = ((seed >> 12) % 1000) as f64;
            if i % 97 < 30 { 500.0 } else { 1000.0 + noise }
        })
        .collect()
}

const KERNELS: [(&str, &[f64]); 14] = [
    ("sma", &[5.0]),
    ("sma", &[1.0]),
    ("filter", &[7.0, 0.25]),
    ("sma_cross", &[3.0, 8.0]),
    ("cross", &[]),
    ("rsi", &[14.0]),
    ("atr", &[5.0]),
    ("std", &[6.0, 1.0]),
    ("zscore", &[20.0]),
    ("volume_z", &[9.0]),
    ("bollinger", &[20.0, 2.0]),
    ("log_return_std", &[10.0, 1.0]),
    ("change", &[3.0, 1.0, 0.0]),
    ("donchian", &[20.0]),
];

#[test]
fn a_batch_is_a_loop_over_updates() {
    let base = prices(500);
    for (name, parameters) in KERNELS {
        for rows in [0, 1, 2, 7, 21, 500] {
            let mut stream = make(name, parameters).unwrap();
            let (inputs, outputs) = (stream.inputs(), stream.outputs());
            let columns: Vec<Vec<f64>> =
                (0..inputs).map(|k| base[..rows].iter().map(|x| x + (k as f64 - 1.0) * 3.0).collect()).collect();
            let mut x: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let poisoned: Vec<f64> =
                columns[0].iter().enumerate().map(|(i, &v)| if i % 113 == 60 { f64::NAN } else { v }).collect();
            x[0] = &poisoned;
            let mut table = vec![vec![0.0; rows]; outputs];
            let mut out: Vec<&mut [f64]> = table.iter_mut().map(Vec::as_mut_slice).collect();
            run(make(name, parameters).unwrap().as_mut(), &x, &[0, 250], false, &mut out);
            for i in 0..rows {
                let row: Vec<f64> = x.iter().map(|column| column[i]).collect();
                let mut want = vec![f64::NAN; outputs];
                if i == 250 {
                    stream.reset();
                }
                if row.iter().any(|v| v.is_nan()) {
                    stream.reset();
                } else {
                    stream.update(&row, &mut want);
                }
                for k in 0..outputs {
                    assert_eq!(table[k][i].to_bits(), want[k].to_bits(), "{name} output {k} row {i} of {rows}");
                }
            }
        }
    }
}

#[test]
fn units_give_the_bits_of_their_floats() {
    let small: Vec<i64> = prices(1000).iter().map(|price| (price * 1e8) as i64).collect();
    let mut large = small.clone();
    large[700] = (1 << 61) + 12345;
    let mut lost = small.clone();
    lost[300] = 0;
    for column in [&small[..], &small[..1], &small[..2], &large, &lost] {
        let floats: Vec<f64> = column.iter().map(|&x| x as f64 / 1e8).collect();
        for (name, parameters) in [("log_return_std", &[20.0, 1.0][..]), ("sma", &[7.0])] {
            let (mut from_units, mut from_floats) = (vec![0.0; column.len()], vec![0.0; column.len()]);
            run_units(make(name, parameters).unwrap().as_mut(), &[column], &mut [&mut from_units]);
            run(make(name, parameters).unwrap().as_mut(), &[&floats], &[], true, &mut [&mut from_floats]);
            let bits = |column: &[f64]| column.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&from_units), bits(&from_floats), "{name}");
        }
    }
}

#[test]
fn some_rows_are_those_of_the_whole_column() {
    let mut column: Vec<i64> = prices(1000).iter().map(|price| (price * 1e8) as i64).collect();
    for bad in [None, Some(900), Some(3)] {
        if let Some(row) = bad {
            column[row] = -1;
        }
        for (name, parameters) in
            [("log_return_std", &[4.0, 1.0][..]), ("log_return_std", &[300.0, 0.0]), ("sma", &[7.0])]
        {
            let mut whole = vec![0.0; column.len()];
            run_units(make(name, parameters).unwrap().as_mut(), &[&column], &mut [&mut whole]);
            for (first, every) in [(0, 1), (5, 7), (301, 40), (999, 3), (2000, 1), (4, 700)] {
                let rows = Schedule { first, every };
                let mut some = vec![0.0; rows.count(column.len())];
                sample_units(make(name, parameters).unwrap().as_mut(), &[&column], rows, &mut some);
                for (value, row) in some.iter().zip(rows.rows(column.len())) {
                    assert_eq!(value.to_bits(), whole[row].to_bits(), "{name} row {row} of {first}, {every}");
                    assert_eq!(rows.place(row) * every + first, row);
                }
            }
        }
    }
}

#[test]
fn an_unknown_kernel_or_a_bad_window_is_named() {
    assert!(make("nothing", &[]).err().unwrap().contains("nothing"));
    assert!(make("sma", &[0.5]).err().unwrap().contains("0.5"));
    assert!(make("sma", &[]).err().unwrap().contains("missing"));
}

#[test]
fn a_held_forecast_repeats_the_last_number_of_a_live_row() {
    let mut values = [f64::NAN, 1.0, f64::NAN, -1.0, f64::NAN];
    hold(&mut values, Some(&[true, true, true, false, true]), -1.0, 0.0).unwrap();
    assert_eq!(values, [0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(hold(&mut [0.0, 1.5], None, -1.0, 0.0), Err(OutOfRange { row: 1, value: 1.5 }));
}

#[test]
fn fixing_rounds_half_to_even() {
    let mut out = [0; 3];
    fix(&[0.5e-9, 1.5e-9, f64::NAN], &mut out);
    assert_eq!(out, [0, 2, i64::MIN]);
    fix(&[0.5e-9, -1.5e-9, -1.0], &mut out);
    assert_eq!(out, [0, -2, -1_000_000_000]);
}
